package org.cnnexport.bench;

/**
 * What the manifest recorded of one output: its leading values and its RMS.
 *
 * @param whole whether it holds whole numbers (classes, masks), which must be equal
 */
record ExpectedOutput(
    String name, long[] shape, ElementType type, double rms, double[] values, boolean whole) {
}

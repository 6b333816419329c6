package org.cnnexport.bench;

/** What the manifest recorded of one output: its leading values and its RMS. */
record ExpectedOutput(String name, long[] shape, ElementType type, double rms, double[] values) {
}

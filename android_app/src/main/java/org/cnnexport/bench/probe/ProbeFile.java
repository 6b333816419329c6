package org.cnnexport.bench.probe;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;

/** What the host derived from a manifest: the artifact's inputs, and the outputs to expect. */
public record ProbeFile(
    String name,
    String sha256,
    String runtime,
    long seed,
    boolean pixels,
    double tolerance,
    List<Input> inputs,
    List<ExpectedOutput> outputs) {

    /** One input, in the artifact's own layout; {@code file} is null if its values are drawn. */
    public record Input(
        String name, long[] shape, ElementType type, boolean channelsLast, File file) {
        public int count() {
            return TensorBuffer.count(shape);
        }
    }

    /**
     * What the manifest recorded of one output: its leading values and its RMS.
     *
     * @param whole whether it holds whole numbers (classes, masks), which must be equal
     */
    public record ExpectedOutput(
        String name, long[] shape, ElementType type, double rms, double[] values, boolean whole) {
    }

    /** Returns the outputs' names, in the manifest's order. */
    public List<String> outputNames() {
        List<String> names = new ArrayList<>();
        outputs.forEach(output -> names.add(output.name()));
        return names;
    }
}

package org.cnnexport.bench.probe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.junit.jupiter.api.Test;

final class ProbeCheckTest {
    private static final long[] SHAPE = {1, 4};
    private static final double RMS = Math.sqrt(7.5);

    private static ProbeFile probe(double rms, double... leading) {
        return probe(rms, false, leading);
    }

    private static ProbeFile probe(double rms, boolean whole, double... leading) {
        return new ProbeFile("m.onnx", ProbeFiles.SHA256, "onnxruntime", 0, false, 1e-3, List.of(),
            List.of(new ProbeFile.ExpectedOutput(
                "y", SHAPE, ElementType.FLOAT32, rms, leading, whole)));
    }

    private static Map<String, TensorBuffer> outputs(long[] shape, float... values) {
        ByteBuffer buffer = ByteBuffer.allocate(64).order(ByteOrder.nativeOrder());
        for (int i = 0; i < values.length; i++) {
            buffer.putFloat(4 * i, values[i]);
        }
        return Map.of("y", new TensorBuffer(shape, ElementType.FLOAT32, buffer));
    }

    private static String refusal(ProbeFile probe, Map<String, TensorBuffer> outputs) {
        Failure failure =
            assertThrows(Failure.class, () -> ProbeCheck.require(probe, outputs));
        assertEquals(Failure.PARITY, failure.exitCode());
        return failure.getMessage();
    }

    @Test
    void whatWasRecordedPasses() throws Failure {
        ProbeCheck.require(probe(RMS, 1, 2), outputs(SHAPE, 1, 2, 3, 4));
    }

    @Test
    void aLeadingValueOffIsNamedInUnitsOfTheRms() {
        String message = refusal(probe(RMS, 1, 2.01), outputs(SHAPE, 1, 2, 3, 4));
        assertTrue(message.contains("m.onnx: output 'y' is off by 0.0037 of its RMS"), message);
        assertTrue(message.contains("(limit 0.0010)"), message);
    }

    @Test
    void aValueBehindTheLeadingOnesShowsInTheRms() {
        refusal(probe(RMS, 1, 2), outputs(SHAPE, 1, 2, 3, 4.1f));
    }

    @Test
    void nothingPassesThatIsNoNumber() {
        refusal(probe(RMS, 1, 2), outputs(SHAPE, 1, Float.NaN, 3, 4));
        refusal(probe(RMS, 1, 2), outputs(SHAPE, 1, 2, 3, Float.NaN));
        refusal(probe(RMS, 1, 2), outputs(SHAPE, 1, 2, 3, Float.POSITIVE_INFINITY));
    }

    @Test
    void anOutputOfZerosIsComparedAbsolutely() throws Failure {
        ProbeCheck.require(probe(0, 0, 0), outputs(SHAPE, 0, 0, 0, 0));
        refusal(probe(0, 0, 0), outputs(SHAPE, 0, 0, 0, 0.1f));
    }

    @Test
    void wholeNumbersMustBeEqual() throws Failure {
        double rms = Math.sqrt((280.0 * 280 + 13) / 4);
        ProbeCheck.require(probe(rms, true, 280, 2), outputs(SHAPE, 280, 2, 3, 0));
        double next = Math.sqrt((281.0 * 281 + 13) / 4);
        ProbeFile wide = new ProbeFile("m.onnx", ProbeFiles.SHA256, "onnxruntime", 0, false, 0.1,
            List.of(), probe(rms, true, 280, 2).outputs());
        assertTrue(Math.abs(next - rms) / rms < wide.tolerance());
        refusal(wide, outputs(SHAPE, 281, 2, 3, 0));
    }

    @Test
    void shapeAndNamesMustBeTheRecordedOnes() {
        assertTrue(refusal(probe(RMS, 1), outputs(new long[] {4}, 1, 2, 3, 4))
            .contains("has shape [4], its manifest says [1, 4]"));
        Map<String, TensorBuffer> other =
            Map.of("z", outputs(SHAPE, 1, 2, 3, 4).get("y"));
        assertTrue(refusal(probe(RMS, 1), other).contains("has outputs [z], its manifest [y]"));
    }
}

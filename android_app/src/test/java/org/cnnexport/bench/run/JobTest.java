package org.cnnexport.bench.run;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.device.Thermal;
import org.cnnexport.bench.files.BoundedFiles;
import org.cnnexport.bench.files.Folders;
import org.cnnexport.bench.probe.ProbeFile;
import org.cnnexport.bench.probe.ProbeInputs;
import org.cnnexport.bench.probe.ProbeReader;
import org.cnnexport.bench.protocol.Messages;
import org.cnnexport.bench.protocol.SessionVerdict;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.cnnexport.bench.timing.Clock;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Whole runs with real inference, on artifacts and probe files that the Python side has exported:
 * {@code cnn.models} names a folder with {@code net.onnx}, {@code net.onnx.probe} and so on.
 */
final class JobTest {
    private static final Path MODELS = Path.of(System.getProperty("cnn.models"));

    @TempDir
    private Path folder;
    private String stream;

    private static Progress progress(String failureReason) {
        return new Progress() {
            @Override
            public void stage(String text) {
            }

            @Override
            public String failureReason() {
                return failureReason;
            }
        };
    }

    private static RunContext context(Clock clock, Folders folders, String failureReason) {
        return new RunContext(clock, "app_process", new Thermal(null),
            RunContext.PROC, folders, progress(failureReason));
    }

    private int run(RunContext context, List<String> options) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        int code = Job.run(options, out, context);
        stream = out.toString(StandardCharsets.UTF_8);
        return code;
    }

    private int run(List<String> options) {
        return run(context(System::nanoTime, Folders.unrestricted(), null), options);
    }

    private static List<String> options(String kind, Path artifact, Path probe, String... more) {
        List<String> options = new ArrayList<>(List.of("protocol=3", "kind=" + kind,
            "artifact=" + artifact, "probe=" + probe, "threads=1", "min_time_s=0.01"));
        options.addAll(List.of(more));
        return options;
    }

    private static List<String> options(String kind, String net, String... more) {
        return options(kind, MODELS.resolve(net), MODELS.resolve(net + ".probe"), more);
    }

    private Map<String, Object> failure() {
        List<Map<String, Object>> messages = Messages.of(stream);
        Map<String, Object> last = messages.get(messages.size() - 1);
        assertEquals("failure", last.get("cnn_bench"), stream);
        return last;
    }

    private void requireFailure(int code, String said) {
        assertEquals((long) code, failure().get("exit_code"), stream);
        assertTrue(((String) failure().get("message")).contains(said), stream);
    }

    @ParameterizedTest
    @ValueSource(strings = {"net.onnx", "net.tflite", "nhwc.tflite", "batch.onnx"})
    void aTimeIsWhole(String net) {
        assertEquals(0, run(options("time", net)), stream);
        assertEquals("complete", SessionVerdict.of("time", stream));
        assertEquals("state", Messages.of(stream).get(1).get("cnn_bench"));
    }

    @Test
    void aPairOfTwoRuntimesIsWhole() {
        assertEquals(0, run(options("pair", "net.onnx", "artifact.b=" + MODELS + "/net.tflite",
            "probe.b=" + MODELS + "/net.tflite.probe", "b_first=true", "block=3")), stream);
        assertEquals("complete", SessionVerdict.of("pair", stream));
        assertEquals("onnxruntime", Messages.of(stream).get(0).get("runtime"));
        assertEquals("ai-edge-litert", Messages.of(stream).get(1).get("runtime"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"net.onnx", "net.tflite"})
    void aMemoryPassIsWhole(String net) {
        assertEquals(0, run(options("memory", net)), stream);
        assertEquals("complete", SessionVerdict.of("memory", stream));
    }

    @ParameterizedTest
    @CsvSource({
        "net.onnx,graph_optimization=off", "net.onnx,graph_optimization=all",
        "net.onnx,graph_optimization=basic", "net.onnx,graph_optimization=extended",
        "net.onnx,spinning=off", "net.onnx,spinning=on", "net.onnx,arena=off",
        "net.onnx,arena=on", "net.tflite,xnnpack=off", "net.tflite,xnnpack=on",
        "net.tflite,gpu=off"})
    void everyRuntimeArgumentIsTaken(String net, String argument) {
        assertEquals(0, run(options("time", net, "runtime_arg." + argument)), stream);
    }

    @Test
    void whatThisBuildLacksIsSaid() throws Exception {
        assertEquals(5, run(options("time", "net.tflite", "runtime_arg.gpu=on")));
        requireFailure(5, "GPU delegate");
        String probe = Files.readString(MODELS.resolve("net.onnx.probe"))
            .replace("runtime=onnxruntime", "runtime=executorch");
        Path other = Files.writeString(folder.resolve("probe"), probe);
        assertEquals(5, run(options("time", MODELS.resolve("net.onnx"), other)));
        requireFailure(5, "no runtime executorch; build the app with it");
    }

    @Test
    void anotherFileIsNotTimed() {
        Path artifact = MODELS.resolve("net.tflite");
        assertEquals(3, run(options("time", artifact, MODELS.resolve("net.onnx.probe"))));
        requireFailure(3, "is not the file its manifest was written for");
        assertEquals(1, Messages.of(stream).size());
    }

    @ParameterizedTest
    @ValueSource(strings = {"net.onnx", "net.tflite"})
    void otherOutputsAreNotTimed(String net) throws Exception {
        String text = Files.readString(MODELS.resolve(net + ".probe"))
            .replaceFirst("output\\.0\\.values=", "output.0.values=1");
        Path probe = Files.writeString(folder.resolve("probe"), text);
        assertEquals(3, run(options("time", MODELS.resolve(net), probe)));
        requireFailure(3, "of its RMS on the manifest's probe");
    }

    @ParameterizedTest
    @ValueSource(strings = {"net.onnx", "net.tflite"})
    void anotherNameOrShapeIsNotTimed(String net) throws Exception {
        for (String edit : new String[] {"output.0.name=other", "output.0.shape=10"}) {
            String key = edit.substring(0, edit.indexOf('='));
            String text = Files.readString(MODELS.resolve(net + ".probe"))
                .replaceFirst("(?m)^" + key + "=.*$", edit);
            Path probe = Files.writeString(folder.resolve("probe"), text);
            assertEquals(3, run(options("time", MODELS.resolve(net), probe)), stream);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"net.onnx", "net.tflite"})
    void aDamagedFileIsRefusedByItsRuntime(String net) throws Exception {
        byte[] half = Files.readAllBytes(MODELS.resolve(net));
        Path artifact = folder.resolve(net);
        Files.write(artifact, Arrays.copyOf(half, half.length / 2));
        String text = Files.readString(MODELS.resolve(net + ".probe")).replaceFirst(
            "sha256=.*", "sha256=" + BoundedFiles.sha256(artifact.toFile()));
        Path probe = Files.writeString(folder.resolve("probe"), text);
        assertEquals(4, run(options("time", artifact, probe)), stream);
        requireFailure(4, "cannot load " + artifact);
    }

    @Test
    void aMissingFileIsRefused() {
        Path nowhere = folder.resolve("none");
        assertEquals(4, run(options("time", nowhere, MODELS.resolve("net.onnx.probe"))));
        requireFailure(4, "there is no file " + nowhere);
    }

    @Test
    void valuesOfAFileAreUsed() throws Exception {
        String text = Files.readString(MODELS.resolve("net.onnx.probe"));
        ProbeFile made = ProbeReader.parse("p", text);
        TensorBuffer input = ProbeInputs.of(made).values().iterator().next();
        byte[] values = new byte[input.count() * Float.BYTES];
        input.values().get(values);
        Path raw = folder.resolve("raw.bin");
        String line = "input.0.file=" + raw + "\n";
        Path probe = Files.writeString(folder.resolve("probe"), text + line);
        Path artifact = MODELS.resolve("net.onnx");
        Files.write(raw, values);
        assertEquals(0, run(options("time", artifact, probe)), stream);
        Files.write(raw, new byte[values.length]);
        assertEquals(3, run(options("time", artifact, probe)), stream);
        Files.write(raw, new byte[values.length - 1]);
        assertEquals(4, run(options("time", artifact, probe)), stream);
    }

    @Test
    void aClockThatGoesBackwardsIsUnfit() {
        long[] calls = {0};
        Clock clock = () -> System.nanoTime() - (++calls[0] % 7 == 0 ? 1_000_000_000L : 0);
        assertEquals(12, run(context(clock, Folders.unrestricted(), null),
            options("time", "net.onnx")));
        requireFailure(12, "clock went backwards");
    }

    @Test
    void whatSpoilsARunIsToldInPlaceOfSamples() {
        assertEquals(12, run(context(System::nanoTime, Folders.unrestricted(), "left"),
            options("time", "net.onnx")));
        requireFailure(12, "left");
        assertFalse(stream.contains("\"sample\""), stream);
    }

    @Test
    void onlyTheNamedFoldersAreTouched() throws Exception {
        Folders folders = Folders.within(List.of(MODELS.toFile()), List.of(folder.toFile()));
        RunContext bounded = context(System::nanoTime, folders, null);
        assertEquals(0, run(bounded, options("time", "net.onnx", "out=" + folder + "/o")), stream);
        assertEquals(stream, Files.readString(folder.resolve("o")));
        assertEquals(4, run(bounded, options("time", "net.onnx", "out=" + MODELS + "/o")));
        assertFalse(MODELS.resolve("o.partial").toFile().exists());
        File secret = new File("/etc/passwd");
        assertEquals(4, run(bounded, options("time", secret.toPath(), secret.toPath())));
        requireFailure(4, "the app may not read /etc/passwd");
        String text = Files.readString(MODELS.resolve("net.onnx.probe"))
            + "input.0.file=/etc/passwd\n";
        Path probe = Files.writeString(folder.resolve("probe"), text);
        assertEquals(4, run(bounded, options("time", MODELS.resolve("net.onnx"), probe)));
        requireFailure(4, "the app may not read /etc/passwd");
    }

    @Test
    void aMistakeInTheOptionsIsToldInTheFileToo() throws Exception {
        Path out = folder.resolve("o");
        assertEquals(2, run(List.of("protocol=3", "kind=tme", "out=" + out)));
        requireFailure(2, "Did you mean 'time'?");
        assertEquals(stream, Files.readString(out));
    }
}

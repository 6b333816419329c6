package org.cnnexport.bench.probe;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class ProbeReaderTest {
    private static Failure refusal(String text) {
        Failure failure = assertThrows(Failure.class, () -> ProbeReader.parse("p", text));
        assertEquals(Failure.REFUSED, failure.exitCode());
        return failure;
    }

    @Test
    void everyKeyIsRead() throws Failure {
        ProbeFile probe = ProbeReader.parse("p", ProbeFiles.WHOLE);
        assertEquals("skipnet.onnx", probe.name());
        assertEquals(-1L, probe.seed());
        assertTrue(probe.pixels());
        assertEquals(1.1e-5, probe.tolerance());
        ProbeFile.Input image = probe.inputs().get(0);
        assertArrayEquals(new long[] {1, 2, 3, 4}, image.shape());
        assertTrue(image.channelsLast());
        assertEquals(24, image.count());
        assertEquals("a=b", probe.inputs().get(1).name());
        assertEquals(new File("/data/x.bin"), probe.inputs().get(1).file());
        assertArrayEquals(new double[] {0.5, -2000, 1}, probe.outputs().get(0).values());
        assertEquals(0, probe.outputs().get(1).shape().length);
        assertEquals(List.of(false, true),
            probe.outputs().stream().map(ProbeFile.ExpectedOutput::whole).toList());
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "protocol=3|protocol=4|speaks protocol 4, this app 3",
        "name=skipnet.onnx|nome=skipnet.onnx|there is no key 'nome'. Did you mean 'name'?",
        "runtime=onnxruntime|runtime=onnx|not 'onnx'",
        "seed=18446744073709551615|seed=18446744073709551616|seed is below 2**64",
        "seed=18446744073709551615|seed=-1|seed is an unsigned number",
        "values=pixel|values=pixels|Did you mean 'pixel'?",
        "tolerance=1.1e-05|tolerance=NaN|tolerance is a decimal number, not 'NaN'",
        "tolerance=1.1e-05|tolerance=1e999|tolerance is a decimal number",
        "tolerance=1.1e-05|tolerance=0x1p3|tolerance is a decimal number",
        "input.0.shape=1,2,3,4|input.0.shape=1,2,-3,4|up to 8 positive sizes",
        "input.0.shape=1,2,3,4|input.0.shape=1,2,3,|up to 8 positive sizes",
        "input.0.shape=1,2,3,4|input.0.shape=1,1,1,1,1,1,1,1,1|up to 8 positive sizes",
        "input.0.shape=1,2,3,4|input.0.shape=65536,65536,65536,65536|more than 268435456 values",
        "input.0.shape=1,2,3,4|input.0.shape=1,2,3|nhwc needs 4 dimensions",
        "input.1.shape=2|input.1.shape=268435456|more than 2**31 bytes",
        "input.0.dtype=float32|input.0.dtype=float33|Did you mean 'float32'?",
        "input.0.layout=nhwc|input.0.layout=hwcn|input.0.layout is one of nchw",
        "input.0.name=image|input.2.name=image|input.0.name",
        "output.0.rms=1.25|output.0.rms=|output.0.rms is a decimal number",
        "output.0.values=0.5,-2e3,1|output.0.values=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17|"
            + "more than 16 values",
        "output.1.values=|output.1.values=|",
        "output.1.name=scalar|output.0.name=scalar|output.0.name is given twice",
    })
    void everyMistakeIsNamed(String line, String wrong, String said) throws Failure {
        String text = ProbeFiles.WHOLE.replace(line + "\n", wrong + "\n");
        if (said == null) {
            ProbeReader.parse("p", text);
            return;
        }
        String message = refusal(text).getMessage();
        assertTrue(message.contains(said), message);
    }

    /** What lacks just the last output is a whole file too; no model has its outputs. */
    @Test
    void aCutOffFileIsRefused() {
        int whole = ProbeFiles.WHOLE.indexOf("output.1");
        for (int length = 0; length < ProbeFiles.WHOLE.length(); length++) {
            if (length != whole) {
                refusal(ProbeFiles.WHOLE.substring(0, length));
            }
        }
    }

    /** Whatever the bytes, there is a probe or a refusal, never anything else. */
    @Test
    void damageIsRefusedOrHarmless() {
        Random random = new Random(1);
        for (int round = 0; round < 5_000; round++) {
            StringBuilder text = new StringBuilder(ProbeFiles.WHOLE);
            for (int edits = 1 + random.nextInt(3); edits > 0; edits--) {
                int place = random.nextInt(text.length());
                if (random.nextBoolean()) {
                    text.setCharAt(place, (char) random.nextInt(0x180));
                } else {
                    text.deleteCharAt(place);
                }
            }
            try {
                ProbeReader.parse("p", text.toString());
            } catch (Failure failure) {
                assertEquals(Failure.REFUSED, failure.exitCode());
            }
        }
    }

    @Test
    void noEscapeReachesATerminal() {
        for (String line : new String[] {"\u001b[2J", "\u001b[2J=x", "\u009b31m=x", "seed=\u0007"}) {
            String text = ProbeFiles.WHOLE.replaceFirst("seed=.*", "seed=1");
            String damaged = line.startsWith("seed") ? text.replace("seed=1", line)
                : text + line + "\n";
            String message = refusal(damaged).getMessage();
            assertTrue(message.contains("?"), message);
            assertTrue(message.codePoints().noneMatch(Character::isISOControl), message);
        }
    }

    @Test
    void aFileTooLargeOrNotTextOrNotThereIsRefused(@TempDir Path folder) throws Exception {
        File file = folder.resolve("probe").toFile();
        assertThrows(Failure.class, () -> ProbeReader.read(file));
        assertThrows(Failure.class, () -> ProbeReader.read(folder.toFile()));
        Files.write(file.toPath(), new byte[] {(byte) 0xC3, '\n'});
        assertTrue(assertThrows(Failure.class, () -> ProbeReader.read(file))
            .getMessage().contains("not UTF-8"));
        try (RandomAccessFile sparse = new RandomAccessFile(file, "rw")) {
            sparse.setLength(1L << 40);
        }
        assertTrue(assertThrows(Failure.class, () -> ProbeReader.read(file))
            .getMessage().contains("larger than"));
        Files.write(file.toPath(), ProbeFiles.WHOLE.getBytes(StandardCharsets.UTF_8));
        assertEquals("skipnet.onnx", ProbeReader.read(file).name());
    }
}

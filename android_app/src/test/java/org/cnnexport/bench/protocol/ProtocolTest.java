package org.cnnexport.bench.protocol;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.device.DeviceState;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** The fixture that Python reads too, {@code tests/protocol/lines.jsonl}. */
final class ProtocolTest {
    private final ByteArrayOutputStream stream = new ByteArrayOutputStream();
    private final ResultWriter writer = new ResultWriter(new LineSink(stream));

    static List<Map<String, Object>> sessions() throws IOException {
        return Files.readAllLines(Path.of(System.getProperty("cnn.protocol"))).stream()
            .map(FlatJson::read).toList();
    }

    @ParameterizedTest
    @MethodSource("sessions")
    void everySessionHasTheVerdictThatPythonGives(Map<String, Object> session) {
        assertEquals(session.get("verdict"), SessionVerdict.of(
            (String) session.get("kind"), (String) session.get("stream")));
    }

    /** What this app writes for a message is the line that the fixture holds, to the byte. */
    @ParameterizedTest
    @MethodSource("sessions")
    void everyMessageIsWrittenAsTheFixtureHasIt(Map<String, Object> session) throws Exception {
        List<Map<String, Object>> messages = Messages.of((String) session.get("stream"));
        if (!session.get("verdict").equals("complete")
            || session.get("name").equals("spaces and another order of keys")) {
            return;
        }
        for (Map<String, Object> message : messages) {
            write(message);
        }
        String written = stream.toString(StandardCharsets.UTF_8);
        for (String line : written.split("\n")) {
            assertTrue(((String) session.get("stream")).contains(line), line);
        }
        assertEquals(messages, Messages.of(written));
    }

    private void write(Map<String, Object> m) throws Failure {
        switch ((String) m.get("cnn_bench")) {
            case "hello" -> writer.hello(new Hello((String) m.get("runtime"),
                (String) m.get("version"), ((Long) m.get("threads")).intValue(),
                (Long) m.get("load_ns"), (Long) m.get("first_ns")));
            case "state" -> writer.state(new DeviceState((String) m.get("launch"),
                m.get("thermal_status") instanceof Long status ? status.intValue() : null,
                m.get("thermal_headroom") instanceof Double room ? room.floatValue() : null,
                (String) m.get("cpus_allowed"), (Long) m.get("available_memory_bytes")));
            case "sample" -> writer.samples(new long[][] {{(Long) m.get("ns")}}, 1);
            case "pair" -> writer.samples(
                new long[][] {{(Long) m.get("a_ns")}, {(Long) m.get("b_ns")}}, 1);
            case "memory" -> writer.memory((Long) m.get("peak_rss_bytes"),
                (Long) m.get("peak_pss_bytes"), (Long) m.get("baseline_rss_bytes"));
            case "end" -> writer.end(((Long) m.get("count")).intValue(),
                ((Long) m.get("warm_up")).intValue(), (Boolean) m.get("settled"));
            default -> throw new AssertionError(m);
        }
    }

    @Test
    void aFailureFitsIntoALineWhateverItSays() throws Failure {
        for (String piece : new String[] {"\"", "\\", "ü", "漢", "\ud83d\ude00", "\ud800", "\0",
            "\u001b[2J", "\r\n", "x"}) {
            stream.reset();
            writer.failure(new Failure(4, "a" + piece.repeat(3000)));
            String line = stream.toString(StandardCharsets.UTF_8);
            List<Map<String, Object>> messages = Messages.of(line);
            assertEquals(1, messages.size());
            assertEquals(4L, messages.get(0).get("exit_code"), piece);
            assertTrue(line.trim().codePoints().noneMatch(Character::isISOControl), piece);
        }
    }
}

package org.cnnexport.bench.protocol;

import java.nio.charset.StandardCharsets;
import org.cnnexport.bench.device.DeviceState;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.errors.Printable;

/** Writes the protocol's messages ({@code benchmarks/results/protocol.py}), a JSON line each. */
public final class ResultWriter {
    private static final int MESSAGE_LENGTH = 1000;

    private final LineSink sink;

    public ResultWriter(LineSink sink) {
        this.sink = sink;
    }

    public void hello(Hello hello) throws Failure {
        send(JsonLine.message("hello")
            .put("protocol", KeyValues.PROTOCOL_VERSION)
            .put("runtime", hello.runtime())
            .put("version", Printable.shortened(hello.version()))
            .put("threads", hello.threads())
            .put("load_ns", hello.loadNs())
            .put("first_ns", hello.firstNs()));
        sink.flush();
    }

    public void state(DeviceState state) throws Failure {
        send(JsonLine.message("state")
            .put("launch", state.launch())
            .put("thermal_status", state.thermalStatus())
            .put("thermal_headroom", state.thermalHeadroom())
            .put("cpus_allowed", state.cpusAllowed())
            .put("available_memory_bytes", state.availableMemoryBytes()));
        sink.flush();
    }

    /**
     * Writes a sample per inference, or a pair where there are two series.
     *
     * @param series nanoseconds, one row per artifact; the first {@code count} of each
     */
    public void samples(long[][] series, int count) throws Failure {
        for (int i = 0; i < count; i++) {
            send(series.length == 1
                ? JsonLine.message("sample").put("ns", series[0][i])
                : JsonLine.message("pair").put("a_ns", series[0][i]).put("b_ns", series[1][i]));
        }
        sink.flush();
    }

    public void memory(long peakRssBytes, Long peakPssBytes, long baselineRssBytes) throws Failure {
        send(JsonLine.message("memory")
            .put("peak_rss_bytes", peakRssBytes)
            .put("peak_pss_bytes", peakPssBytes)
            .put("baseline_rss_bytes", baselineRssBytes));
        sink.flush();
    }

    public void end(int count, int warmUp, boolean settled) throws Failure {
        sink.finish(bytes(JsonLine.message("end")
            .put("count", count).put("warm_up", warmUp).put("settled", settled)));
    }

    public void failure(Failure failure) throws Failure {
        String text = Printable.clean(Printable.oneLine(failure.getMessage()));
        String kept = text.substring(0, Math.min(MESSAGE_LENGTH, text.length()));
        sink.fail(bytes(JsonLine.message("failure")
            .put("exit_code", failure.exitCode()).put("message", kept)));
    }

    private void send(JsonLine line) throws Failure {
        sink.write(bytes(line));
    }

    private static byte[] bytes(JsonLine line) {
        return line.line().getBytes(StandardCharsets.UTF_8);
    }
}

package org.cnnexport.bench;

import java.nio.charset.StandardCharsets;

/** Says the protocol's messages ({@code benchmarks/protocol.py}), one JSON object a line. */
final class ResultWriter {
    private static final int MESSAGE_LENGTH = 1000;

    private final Report report;

    ResultWriter(Report report) {
        this.report = report;
    }

    void hello(Hello hello) throws Failure {
        send(JsonLine.message("hello")
            .put("protocol", Pairs.PROTOCOL_VERSION)
            .put("runtime", hello.runtime())
            .put("version", Printable.shortened(hello.version()))
            .put("threads", hello.threads())
            .put("load_ns", hello.loadNs())
            .put("first_ns", hello.firstNs()));
        report.flush();
    }

    void state(State state) throws Failure {
        send(JsonLine.message("state")
            .put("launch", state.launch())
            .put("thermal_status", state.thermalStatus())
            .put("thermal_headroom", state.thermalHeadroom())
            .put("cpus_allowed", state.cpusAllowed())
            .put("available_memory_bytes", state.availableMemoryBytes()));
        report.flush();
    }

    /** Writes a sample per inference, or a pair where there are two series. */
    void samples(Timed timed) throws Failure {
        long[] a = timed.series()[0];
        for (int i = 0; i < timed.count(); i++) {
            send(timed.series().length == 1
                ? JsonLine.message("sample").put("ns", a[i])
                : JsonLine.message("pair").put("a_ns", a[i]).put("b_ns", timed.series()[1][i]));
        }
        report.flush();
    }

    void memory(long peakRssBytes, Long peakPssBytes, long baselineRssBytes) throws Failure {
        send(JsonLine.message("memory")
            .put("peak_rss_bytes", peakRssBytes)
            .put("peak_pss_bytes", peakPssBytes)
            .put("baseline_rss_bytes", baselineRssBytes));
        report.flush();
    }

    void end(int count, int warmUp, boolean settled) throws Failure {
        report.finish(bytes(JsonLine.message("end")
            .put("count", count).put("warm_up", warmUp).put("settled", settled)));
    }

    void failure(Failure failure) throws Failure {
        String text = Printable.clean(Failures.oneLine(failure.getMessage()));
        String kept = text.substring(0, Math.min(MESSAGE_LENGTH, text.length()));
        report.fail(bytes(JsonLine.message("failure")
            .put("exit_code", failure.exitCode()).put("message", kept)));
    }

    private void send(JsonLine line) throws Failure {
        report.write(bytes(line));
    }

    private static byte[] bytes(JsonLine line) {
        return line.line().getBytes(StandardCharsets.UTF_8);
    }
}

package org.cnnexport.bench;

import java.io.File;
import java.io.OutputStream;
import java.util.List;

/** From arguments to an exit code: every end is reported as a line and as the code. */
final class Job {
    private Job() {
    }

    /** Runs what {@code arguments} ask for; returns the exit code. */
    static int run(List<String> arguments, OutputStream stream, Surroundings surroundings) {
        Report report = new Report(stream);
        ResultWriter writer = new ResultWriter(report);
        try {
            return run(arguments, report, writer, surroundings);
        } catch (Failure streamLost) {
            return streamLost.exitCode();
        }
    }

    private static int run(List<String> arguments, Report report, ResultWriter writer,
        Surroundings surroundings) throws Failure {
        try {
            File out = Options.outOf(arguments);
            if (out != null) {
                report.alsoTo(new OutFile(out));
            }
            new Runner(surroundings, writer).run(Options.parse(arguments));
            return 0;
        } catch (Throwable thrown) { // whoever waits for the result must hear of every end
            Failure failure = Failures.of(thrown);
            writer.failure(failure);
            return failure.exitCode();
        }
    }
}

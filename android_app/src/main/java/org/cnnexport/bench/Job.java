package org.cnnexport.bench;

import java.io.File;
import java.io.OutputStream;
import java.util.List;

/** From arguments to an exit code: every end is reported as a line and as the code. */
final class Job {
    private Job() {
    }

    /**
     * Runs what {@code arguments} ask for.
     *
     * @param stream where the lines go besides {@code out}; null for nowhere
     * @return the exit code
     */
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
            openOut(arguments, report, surroundings);
            new Runner(surroundings, writer).run(Options.parse(arguments));
            return 0;
        } catch (Throwable thrown) { // whoever waits for the result must hear of every end
            Failure failure = Failures.of(thrown);
            surroundings.progress().stage(failure.getMessage());
            writer.failure(failure);
            return failure.exitCode();
        }
    }

    /** Reports {@code failure} to the file that {@code arguments} name, and does nothing else. */
    static void refuse(List<String> arguments, Surroundings surroundings, Failure failure) {
        Report report = new Report(null);
        try {
            openOut(arguments, report, surroundings);
            new ResultWriter(report).failure(failure);
        } catch (Failure unwritable) {
            surroundings.progress().stage(unwritable.getMessage());
        }
    }

    private static void openOut(List<String> arguments, Report report, Surroundings surroundings)
        throws Failure {
        File out = Options.outOf(arguments);
        if (out != null) {
            surroundings.folders().requireWritable(out);
            report.alsoTo(new OutFile(out));
        }
    }
}

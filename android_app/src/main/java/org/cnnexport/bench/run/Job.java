package org.cnnexport.bench.run;

import java.io.File;
import java.io.OutputStream;
import java.util.List;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.OutFile;
import org.cnnexport.bench.protocol.LineSink;
import org.cnnexport.bench.protocol.Options;
import org.cnnexport.bench.protocol.ResultWriter;

/** From arguments to an exit code: every end is reported as a line and as the code. */
public final class Job {
    private Job() {
    }

    /**
     * Runs what {@code arguments} describe.
     *
     * @param stream where the lines go besides {@code out}; null for nowhere
     * @return the exit code
     */
    public static int run(List<String> arguments, OutputStream stream, RunContext context) {
        LineSink sink = new LineSink(stream);
        ResultWriter writer = new ResultWriter(sink);
        try {
            return run(arguments, sink, writer, context);
        } catch (Failure streamLost) {
            return streamLost.exitCode();
        }
    }

    private static int run(List<String> arguments, LineSink sink, ResultWriter writer,
        RunContext context) throws Failure {
        try {
            openOut(arguments, sink, context);
            new Runner(context, writer).run(Options.parse(arguments));
            return 0;
        } catch (Throwable thrown) { // the host must learn of every end
            Failure failure = Failure.of(thrown);
            context.progress().stage(failure.getMessage());
            writer.failure(failure);
            return failure.exitCode();
        }
    }

    /** Reports {@code failure} to the file that {@code arguments} name, and does nothing else. */
    public static void refuse(List<String> arguments, RunContext context, Failure failure) {
        LineSink sink = new LineSink(null);
        try {
            openOut(arguments, sink, context);
            new ResultWriter(sink).failure(failure);
        } catch (Failure unwritable) {
            context.progress().stage(unwritable.getMessage());
        }
    }

    private static void openOut(List<String> arguments, LineSink sink, RunContext context)
        throws Failure {
        File out = Options.outOf(arguments);
        if (out != null) {
            context.folders().requireWritable(out);
            sink.alsoTo(new OutFile(out));
        }
    }
}

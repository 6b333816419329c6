package org.cnnexport.bench;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.util.List;
import org.cnnexport.bench.run.Job;
import org.cnnexport.bench.run.RunContext;

/**
 * Started by {@code app_process}, with nothing installed; on a JVM by {@code java}.
 *
 * <p>The options are in {@code android_app/README.md}.
 */
public final class Main {
    private Main() {
    }

    /** Maps the outcome to the process's exit status, and nothing else. */
    public static void main(String[] arguments) {
        OutputStream results = new FileOutputStream(FileDescriptor.out);
        // Whatever a library prints must not stand among the results.
        System.setOut(System.err);
        System.exit(Job.run(List.of(arguments), results, RunContext.ofShell()));
    }
}

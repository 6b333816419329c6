package org.cnnexport.bench;

import android.content.Context;
import android.os.PowerManager;
import android.util.Log;
import java.io.File;
import java.util.Arrays;
import java.util.List;

/** One run of an Activity: its results go to a file, its stages to the screen and the log. */
final class ForegroundRun implements Progress {
    private static final String TAG = "cnn-bench";

    private final Context context;
    private final Screen screen;
    private final List<String> arguments;
    private volatile boolean left;

    /** Takes the options with a line feed between the pairs. */
    ForegroundRun(Context context, Screen screen, String options) {
        this.context = context;
        this.screen = screen;
        arguments = Arrays.asList(options.split("\n", -1));
    }

    /** Measures; every end is told. */
    void run() {
        int code = Job.run(arguments, null, surroundings());
        stage(code == 0 ? "Done." : "Failed with exit code " + code + ".");
        LastResults.save(context, screen.text());
    }

    /** Tells whoever asked for this that {@code other} is in progress, without disturbing it. */
    void refuse(ForegroundRun other) {
        File out = Options.outOf(arguments);
        if (out != null && !out.equals(Options.outOf(other.arguments))) {
            Job.refuse(arguments, surroundings(), Failures.unfit(
                "another run is in progress on this phone; wait until it is done"));
        }
    }

    /** What is measured from now on in this run is not measured in the foreground. */
    void leftForeground() {
        left = true;
    }

    @Override
    public void stage(String text) {
        Log.i(TAG, text);
        screen.add(text);
    }

    @Override
    public String spoiled() {
        return left ? "the app left the foreground while it measured; leave it there and run again"
            : null;
    }

    private Surroundings surroundings() {
        return new Surroundings(System::nanoTime, "activity",
            new ReflectedThermal(context.getSystemService(PowerManager.class)), Surroundings.PROC,
            OwnFolders.of(context), this);
    }
}

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
    private final Foreground foreground;
    private final List<String> arguments;

    /** Takes the options with a line feed between the pairs. */
    ForegroundRun(Context context, Screen screen, Foreground foreground, String options) {
        this.context = context;
        this.screen = screen;
        this.foreground = foreground;
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

    /** Tells whoever asked for this that it will not begin. */
    void abandon() {
        Job.refuse(arguments, surroundings(), Failures.unfit(
            "the app was closed before its run began; leave it in front and run again"));
    }

    /** Whether somebody waits for the report's file. */
    boolean isAwaited() {
        return Options.outOf(arguments) != null;
    }

    @Override
    public void stage(String text) {
        Log.i(TAG, text);
        screen.add(text);
    }

    @Override
    public String spoiled() {
        return foreground.wasLeft()
            ? "the app left the foreground while it measured; leave it there and run again"
            : null;
    }

    private Surroundings surroundings() {
        return new Surroundings(System::nanoTime, "activity",
            new ReflectedThermal(context.getSystemService(PowerManager.class)), Surroundings.PROC,
            OwnFolders.of(context), this);
    }
}

package org.cnnexport.bench.ui;

import android.content.Context;
import android.os.PowerManager;
import android.util.Log;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.cnnexport.bench.device.Thermal;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.Folders;
import org.cnnexport.bench.protocol.Options;
import org.cnnexport.bench.run.Job;
import org.cnnexport.bench.run.Progress;
import org.cnnexport.bench.run.RunContext;

/** One run of an Activity: its results go to a file, its stages to the screen and the log. */
public final class ForegroundRun implements Progress {
    private static final String TAG = "cnn-bench";
    private static final File PUSHED = new File("/data/local/tmp");

    private final Context context;
    private final Screen screen;
    private final Foreground foreground;
    private final List<String> arguments;

    /** Takes the options with a line feed between the pairs. */
    public ForegroundRun(Context context, Screen screen, Foreground foreground, String options) {
        this.context = context;
        this.screen = screen;
        this.foreground = foreground;
        arguments = Arrays.asList(options.split("\n", -1));
    }

    /** Measures; every end is reported. */
    public void run() {
        int code = Job.run(arguments, null, runContext());
        stage(code == 0 ? "Done." : "Failed with exit code " + code + ".");
        LastResults.save(context, screen.text());
    }

    /** Reports that {@code other} is in progress, unless that would disturb the other's file. */
    public void refuse(ForegroundRun other) {
        File out = Options.outOf(arguments);
        if (out != null && !out.equals(Options.outOf(other.arguments))) {
            Job.refuse(arguments, runContext(), Failure.unfit(
                "another run is in progress on this phone; wait until it is done"));
        }
    }

    /** Reports that this run will not begin. */
    public void abandon() {
        Job.refuse(arguments, runContext(), Failure.unfit(
            "the app was closed before its run began; leave it in front and run again"));
    }

    /** Whether the host waits for the report's file. */
    public boolean isAwaited() {
        return Options.outOf(arguments) != null;
    }

    @Override
    public void stage(String text) {
        Log.i(TAG, text);
        screen.add(text);
    }

    @Override
    public String failureReason() {
        return foreground.wasLeft()
            ? "the app left the foreground while it measured; leave it there and run again"
            : null;
    }

    private RunContext runContext() {
        return new RunContext(System::nanoTime, "activity",
            new Thermal(context.getSystemService(PowerManager.class)), RunContext.PROC,
            folders(context), this);
    }

    /**
     * The folders this run keeps to: the app's own, and to read what the shell pushed.
     *
     * <p>Makes the app's folders too, where they are not there yet. Of these the shell reads those
     * for media only: no private folder of an app that is not debuggable, and an app's external
     * files not on each phone from Android 11 on.
     */
    @SuppressWarnings("deprecation") // the shell reads no other folder of an app on all versions
    private static Folders folders(Context context) {
        List<File> own = new ArrayList<>(List.of(context.getFilesDir(), context.getCacheDir()));
        for (File media : context.getExternalMediaDirs()) {
            if (media != null) {
                own.add(media);
            }
        }
        return Folders.within(List.of(PUSHED), own);
    }
}

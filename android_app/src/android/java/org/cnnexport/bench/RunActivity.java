package org.cnnexport.bench;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.os.Handler;
import android.os.Looper;
import android.os.Process;
import android.view.WindowManager;
import java.util.concurrent.atomic.AtomicReference;
import org.cnnexport.bench.ui.Foreground;
import org.cnnexport.bench.ui.ForegroundRun;
import org.cnnexport.bench.ui.LastResults;
import org.cnnexport.bench.ui.Screen;

/**
 * The runner in the foreground, where a phone gives its scheduling; results go to {@code out}.
 *
 * <p>A run begins when the Activity has been in front for a moment: its layout and first frame, and
 * whatever a screen that is switched on brings, are over then.
 *
 * <p>The manifest asks for a permission that the shell has and ordinary apps have not, so that no
 * foreign app starts a run; the run keeps to named folders all the same.
 */
public final class RunActivity extends Activity {
    /** The options, {@code key=value} with a line feed between the pairs. */
    public static final String OPTIONS = "options";

    static final long SETTLE_MS = 300;

    /** The run that waits or measures: one per process, which Activities may share. */
    private static final AtomicReference<ForegroundRun> CURRENT = new AtomicReference<>();

    private final Foreground foreground = new Foreground();
    private final Handler main = new Handler(Looper.getMainLooper());
    private final Runnable begin = this::begin;
    private Screen screen;
    private ForegroundRun waiting;

    @Override
    @SuppressWarnings("deprecation") // the flags are what API 26 has; a locked phone must show it
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
            | WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
            | WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED);
        screen = new Screen(this);
        // Android may make this again, with the intent of a run that nobody waits for any more.
        take(getIntent(), state != null);
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        foreground.newIntent();
        take(intent, false);
    }

    @Override
    protected void onResume() {
        super.onResume();
        foreground.resume();
        beginSoon();
    }

    @Override
    public void onWindowFocusChanged(boolean has) {
        super.onWindowFocusChanged(has);
        foreground.focus(has);
        beginSoon();
    }

    @Override
    protected void onPause() {
        super.onPause();
        foreground.pause();
        beginSoon();
    }

    @Override
    protected void onStop() {
        super.onStop();
        foreground.stop();
    }

    @Override
    protected void onDestroy() {
        super.onDestroy();
        main.removeCallbacks(begin);
        if (waiting != null) {
            waiting.abandon();
            over(waiting);
        }
    }

    private void take(Intent intent, boolean again) {
        boolean old = again || (intent.getFlags() & Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY) != 0;
        String options = old ? null : intent.getStringExtra(OPTIONS);
        ForegroundRun current = CURRENT.get();
        if (options == null) {
            showLast(current);
            return;
        }
        ForegroundRun next = new ForegroundRun(this, screen, foreground, options);
        if (current != null) {
            next.refuse(current);
            return;
        }
        CURRENT.set(next); // here only, and always on the main thread
        waiting = next;
        screen.show("Waiting until nothing is in front of this.");
        beginSoon();
    }

    private void showLast(ForegroundRun current) {
        if (current == null) {
            screen.show(LastResults.read(this));
        }
    }

    /** Whatever comes between starts the wait anew. */
    private void beginSoon() {
        main.removeCallbacks(begin);
        if (waiting != null && foreground.isInFront()) {
            main.postDelayed(begin, SETTLE_MS);
        }
    }

    private void begin() {
        ForegroundRun run = waiting;
        waiting = null;
        foreground.watch();
        screen.show("");
        new Thread(() -> {
            run.run();
            main.post(() -> over(run));
        }, "run").start();
    }

    /** The process's end shows the host that no report will come any more. */
    private void over(ForegroundRun run) {
        CURRENT.set(null);
        if (run.isAwaited()) {
            finishAndRemoveTask();
            Process.killProcess(Process.myPid());
        }
    }
}

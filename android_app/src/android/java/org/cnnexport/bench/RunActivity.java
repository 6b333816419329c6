package org.cnnexport.bench;

import android.app.Activity;
import android.content.Intent;
import android.os.Bundle;
import android.view.WindowManager;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The runner in the foreground, where a phone gives its scheduling; results go to {@code out}.
 *
 * <p>The manifest asks for a permission that the shell has and ordinary apps have not, so that no
 * foreign app starts a run; {@link Folders} bounds what a run could touch all the same.
 */
public final class RunActivity extends Activity {
    /** The options, {@code key=value} with a line feed between the pairs. */
    public static final String OPTIONS = "options";

    private final AtomicBoolean running = new AtomicBoolean();
    private Screen screen;
    private ForegroundRun run;

    @Override
    @SuppressWarnings("deprecation") // the flags are what API 26 has; a locked phone must show it
    protected void onCreate(Bundle state) {
        super.onCreate(state);
        getWindow().addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON
            | WindowManager.LayoutParams.FLAG_TURN_SCREEN_ON
            | WindowManager.LayoutParams.FLAG_SHOW_WHEN_LOCKED);
        screen = new Screen(this);
        start(getIntent());
    }

    @Override
    protected void onNewIntent(Intent intent) {
        super.onNewIntent(intent);
        start(intent);
    }

    @Override
    protected void onPause() {
        super.onPause();
        if (run != null) {
            run.leftForeground();
        }
    }

    private void start(Intent intent) {
        String options = intent.getStringExtra(OPTIONS);
        if (options == null) {
            screen.show(LastResults.read(this));
            return;
        }
        ForegroundRun next = new ForegroundRun(this, screen, options);
        if (!running.compareAndSet(false, true)) {
            next.refuse(run);
            return;
        }
        run = next;
        screen.show("");
        new Thread(() -> {
            next.run();
            running.set(false);
        }, "run").start();
    }
}

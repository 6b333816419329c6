package org.cnnexport.bench.ui;

/**
 * Whether an Activity is in front, from what Android calls it with.
 *
 * <p>Android pauses an Activity around every new intent, also one that is in front and stays there;
 * its window keeps the focus then, and such a pause is no leaving. Written on the main thread, read
 * on any.
 */
public final class Foreground {
    private boolean resumed;
    private boolean focused;
    private volatile boolean pausing;
    private volatile boolean left;

    /** Whether the Activity is shown, and nothing is before it. */
    public boolean isInFront() {
        return resumed && focused;
    }

    /** Forgets what was before. */
    public void watch() {
        left = false;
    }

    /** Whether the Activity left the foreground since {@link #watch}, if only for a moment. */
    boolean wasLeft() {
        return left || pausing;
    }

    public void focus(boolean has) {
        focused = has;
    }

    public void resume() {
        left |= pausing;
        pausing = false;
        resumed = true;
    }

    public void newIntent() {
        pausing &= !focused;
    }

    public void pause() {
        resumed = false;
        pausing = true;
    }

    public void stop() {
        left = true;
    }
}

package org.cnnexport.bench;

/**
 * What an Activity hears of its place on the screen.
 *
 * <p>Android pauses an Activity around every new intent, also one that is in front and stays there;
 * its window keeps the focus then, and such a pause is no leaving. Told on the main thread, asked
 * from any.
 */
final class Foreground {
    private boolean resumed;
    private boolean focused;
    private volatile boolean pausing;
    private volatile boolean left;

    /** Whether the Activity is shown, and nothing is before it. */
    boolean isInFront() {
        return resumed && focused;
    }

    /** Forgets what was before. */
    void watch() {
        left = false;
    }

    /** Whether the Activity left the foreground since {@link #watch}, if only for a moment. */
    boolean wasLeft() {
        return left || pausing;
    }

    void focus(boolean has) {
        focused = has;
    }

    void resume() {
        left |= pausing;
        pausing = false;
        resumed = true;
    }

    void newIntent() {
        pausing &= !focused;
    }

    void pause() {
        resumed = false;
        pausing = true;
    }

    void stop() {
        left = true;
    }
}

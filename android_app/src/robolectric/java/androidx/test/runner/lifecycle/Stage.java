package androidx.test.runner.lifecycle;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public enum Stage {
    PRE_ON_CREATE, CREATED, STARTED, RESUMED, PAUSED, STOPPED, RESTARTED, DESTROYED
}

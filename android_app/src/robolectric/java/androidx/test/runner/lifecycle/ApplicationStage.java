package androidx.test.runner.lifecycle;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public enum ApplicationStage {
    PRE_ON_CREATE, CREATED
}

package androidx.test.runner.intent;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public final class IntentStubberRegistry {
    private IntentStubberRegistry() {
    }

    public static boolean isLoaded() {
        return false;
    }
}

package androidx.test.runner.intent;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public final class IntentMonitorRegistry {
    private IntentMonitorRegistry() {
    }

    public static void registerInstance(IntentMonitor monitor) {
    }
}

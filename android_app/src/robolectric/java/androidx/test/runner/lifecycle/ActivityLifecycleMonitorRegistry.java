package androidx.test.runner.lifecycle;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public final class ActivityLifecycleMonitorRegistry {
    private ActivityLifecycleMonitorRegistry() {
    }

    public static void registerInstance(ActivityLifecycleMonitor monitor) {
    }
}

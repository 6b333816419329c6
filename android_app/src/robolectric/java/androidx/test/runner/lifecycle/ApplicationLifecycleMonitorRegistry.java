package androidx.test.runner.lifecycle;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public final class ApplicationLifecycleMonitorRegistry {
    private ApplicationLifecycleMonitorRegistry() {
    }

    public static void registerInstance(ApplicationLifecycleMonitor monitor) {
    }
}

package androidx.test.platform.app;

import android.app.Instrumentation;
import android.os.Bundle;

/** A stand-in: Robolectric asks for it, and the real one is not on Maven Central. */
public final class InstrumentationRegistry {
    private static Instrumentation instance;

    private InstrumentationRegistry() {
    }

    public static void registerInstance(Instrumentation instrumentation, Bundle arguments) {
        instance = instrumentation;
    }

    public static Instrumentation getInstrumentation() {
        return instance;
    }
}

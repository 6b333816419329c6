package org.cnnexport.bench.device;

import java.lang.reflect.Method;

/**
 * How hot the device says it is.
 *
 * <p>Calls whatever object has {@code getCurrentThermalStatus} (API 29) and
 * {@code getThermalHeadroom} (API 30): a PowerManager, or the thermal service's binder.
 *
 * <p>Both are newer than the oldest system this app starts on, hence by name.
 */
public final class Thermal {
    private static final int FORECAST_SECONDS = 0;

    private final Object source;

    /** Reads from {@code source}; null where there is none. */
    public Thermal(Object source) {
        this.source = source;
    }

    /**
     * For a process without Context. {@code ServiceManager} is no public API; a process that the
     * shell starts may call it. Where it cannot be reached nothing is known.
     */
    public static Thermal ofBinder() {
        try {
            Object binder = Class.forName("android.os.ServiceManager")
                .getMethod("getService", String.class).invoke(null, "thermalservice");
            Class<?> kind = Class.forName("android.os.IBinder");
            return new Thermal(Class.forName("android.os.IThermalService$Stub")
                .getMethod("asInterface", kind).invoke(null, binder));
        } catch (ReflectiveOperationException | LinkageError unreachable) {
            return new Thermal(null);
        }
    }

    /** Android's {@code THERMAL_STATUS_*}, 0 (none) to 6 (shutdown); null where it is unknown. */
    public Integer status() {
        return ask("getCurrentThermalStatus") instanceof Integer status ? status : null;
    }

    /** 1.0 is where severe throttling begins; null where it is unknown. */
    public Float headroom() {
        Object value = ask("getThermalHeadroom", FORECAST_SECONDS);
        boolean known = value instanceof Float headroom
            && !headroom.isNaN() && !headroom.isInfinite();
        return known ? (Float) value : null;
    }

    private Object ask(String name, Object... arguments) {
        if (source == null) {
            return null;
        }
        try {
            Class<?>[] kinds = arguments.length == 0 ? new Class<?>[0] : new Class<?>[] {int.class};
            Method method = source.getClass().getMethod(name, kinds);
            // The binder's proxy is a public method of a private class.
            method.setAccessible(true);
            return method.invoke(source, arguments);
        } catch (ReflectiveOperationException | RuntimeException unknown) {
            return null;
        }
    }
}

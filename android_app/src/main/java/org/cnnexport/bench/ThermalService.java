package org.cnnexport.bench;

import java.lang.reflect.Method;

/**
 * The thermal service over its binder, for a process that has no Context.
 *
 * <p>{@code ServiceManager} is no public API; a process that the shell starts may call it. Where
 * it cannot be reached (older systems, a JVM) nothing is told.
 */
final class ThermalService implements Thermal {
    private static final int FORECAST_SECONDS = 0;

    private final Object service;

    ThermalService() {
        service = find();
    }

    private static Object find() {
        try {
            Object binder = Class.forName("android.os.ServiceManager")
                .getMethod("getService", String.class).invoke(null, "thermalservice");
            Class<?> kind = Class.forName("android.os.IBinder");
            return Class.forName("android.os.IThermalService$Stub")
                .getMethod("asInterface", kind).invoke(null, binder);
        } catch (ReflectiveOperationException | LinkageError unreachable) {
            return null;
        }
    }

    @Override
    public Integer status() {
        return (Integer) ask("getCurrentThermalStatus");
    }

    @Override
    public Float headroom() {
        Float value = (Float) ask("getThermalHeadroom", FORECAST_SECONDS);
        return value == null || value.isNaN() || value.isInfinite() ? null : value;
    }

    private Object ask(String name, Object... arguments) {
        if (service == null) {
            return null;
        }
        try {
            Class<?>[] kinds = arguments.length == 0 ? new Class<?>[0] : new Class<?>[] {int.class};
            Method method = service.getClass().getMethod(name, kinds);
            method.setAccessible(true);
            return method.invoke(service, arguments);
        } catch (ReflectiveOperationException | RuntimeException notTold) {
            return null;
        }
    }
}

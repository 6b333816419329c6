package org.cnnexport.bench.device;

import java.io.File;
import java.util.regex.Pattern;

/** The device at one moment, as the measuring process sees it; null is unknown. */
public record DeviceState(
    String launch,
    Integer thermalStatus,
    Float thermalHeadroom,
    String cpusAllowed,
    Long availableMemoryBytes) {

    private static final int STATUS_MAX = 6;
    private static final Pattern CPUS = Pattern.compile("[0-9]{1,4}([,-][0-9]{1,4}){0,99}");

    /** Looks at the device; {@code launch} is how this process was started. */
    public static DeviceState now(String launch, Thermal thermal, File proc) {
        Integer status = thermal.status();
        Float headroom = thermal.headroom();
        boolean known = status != null && status >= 0 && status <= STATUS_MAX;
        return new DeviceState(
            launch,
            known ? status : null,
            headroom != null && headroom >= 0 ? headroom : null,
            cpus(new File(proc, "self/status")),
            ProcFiles.bytes(new File(proc, "meminfo"), "MemAvailable"));
    }

    private static String cpus(File status) {
        String list = ProcFiles.field(status, "Cpus_allowed_list");
        return list != null && CPUS.matcher(list).matches() ? list : null;
    }
}

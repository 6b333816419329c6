package org.cnnexport.bench.run;

import java.io.File;
import org.cnnexport.bench.device.DeviceState;
import org.cnnexport.bench.device.Thermal;
import org.cnnexport.bench.files.Folders;
import org.cnnexport.bench.timing.Clock;

/** What a run needs of the process it is in. */
public record RunContext(Clock clock, String launch, Thermal thermal, File proc, Folders folders,
    Progress progress) {

    public static final File PROC = new File("/proc");

    /** The process that app_process or a JVM started. */
    public static RunContext ofShell() {
        return new RunContext(System::nanoTime, "app_process", Thermal.ofBinder(), PROC,
            Folders.unrestricted(), new Silent());
    }

    DeviceState state() {
        return DeviceState.now(launch, thermal, proc);
    }

    private static final class Silent implements Progress {
        @Override
        public void stage(String text) {
        }

        @Override
        public String failureReason() {
            return null;
        }
    }
}

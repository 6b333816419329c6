package org.cnnexport.bench;

import java.io.File;

/** What a run needs of the process it is in. */
record Surroundings(Clock clock, String launch, Thermal thermal, File proc, Progress progress) {
    /** The process that app_process or a JVM started. */
    static Surroundings ofShell() {
        return new Surroundings(System::nanoTime, "app_process", new ThermalService(),
            new File("/proc"), text -> { });
    }

    State state() {
        return State.now(launch, thermal, proc);
    }
}

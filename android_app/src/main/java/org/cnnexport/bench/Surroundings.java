package org.cnnexport.bench;

import java.io.File;

/** What a run needs of the process it is in. */
record Surroundings(Clock clock, String launch, Thermal thermal, File proc, Folders folders,
    Progress progress) {

    static final File PROC = new File("/proc");

    /** The process that app_process or a JVM started. */
    static Surroundings ofShell() {
        return new Surroundings(System::nanoTime, "app_process", ReflectedThermal.ofBinder(), PROC,
            Folders.unrestricted(), new Silent());
    }

    State state() {
        return State.now(launch, thermal, proc);
    }

    private static final class Silent implements Progress {
        @Override
        public void stage(String text) {
        }

        @Override
        public String spoiled() {
            return null;
        }
    }
}

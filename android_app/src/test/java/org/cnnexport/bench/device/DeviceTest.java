package org.cnnexport.bench.device;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import org.cnnexport.bench.errors.Failure;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a run learns of its process, and what it may touch. */
final class SurroundingsTest {
    @TempDir
    private Path folder;

    /** Answers what a PowerManager answers. */
    public static final class Hot {
        public int getCurrentThermalStatus() {
            return 3;
        }

        public float getThermalHeadroom(int seconds) {
            return seconds == 0 ? 0.75f : Float.NaN;
        }
    }

    /** Answers what a device answers that cannot tell. */
    public static final class Silent {
        public int getCurrentThermalStatus() {
            throw new UnsupportedOperationException();
        }

        public float getThermalHeadroom(int seconds) {
            return Float.NaN;
        }
    }

    private void write(String name, String text) throws Exception {
        Path file = folder.resolve(name);
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
    }

    @Test
    void theStateIsWhatTheKernelTells() throws Exception {
        write("self/status", "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t0-3,6\n");
        write("meminfo", "MemTotal:  9 kB\nMemAvailable:   1000 kB\n");
        DeviceState state =
            DeviceState.now("activity", new Thermal(new Hot()), folder.toFile());
        assertEquals(new DeviceState("activity", 3, 0.75f, "0-3,6", 1024_000L), state);
    }

    @Test
    void whatIsNotToldIsNull() throws Exception {
        write("self/status", "Cpus_allowed_list:\t0-3;rm\n");
        write("meminfo", "MemAvailable: many kB\n");
        for (Object source : new Object[] {null, new Silent(), "no such methods"}) {
            assertEquals(new DeviceState("app_process", null, null, null, null),
                DeviceState.now("app_process", new Thermal(source), folder.toFile()));
        }
        assertNull(Thermal.ofBinder().status());
    }

    @Test
    void memoryIsCountedInBytes() throws Exception {
        write("status", "VmPeak:\t 9 kB\nVmHWM:\t  300 kB\nVmRSS:\t  200 kB\n");
        write("smaps_rollup", "00-ff r\nRss: 5 kB\nPss:     100 kB\nPss_Anon: 7 kB\n");
        ProcessMemory memory = new ProcessMemory(folder.toFile());
        assertEquals(300 * 1024, memory.peakRssBytes());
        assertEquals(200 * 1024, memory.rssBytes());
        assertEquals(100 * 1024L, memory.pssBytes());
        memory.resetPeak();
        assertEquals("5", Files.readString(folder.resolve("clear_refs")));
    }

    @Test
    void aKernelThatDoesNotTellIsUnfit() {
        ProcessMemory memory = new ProcessMemory(folder.resolve("none").toFile());
        memory.resetPeak();
        assertNull(memory.pssBytes());
        assertEquals(Failure.UNFIT,
            assertThrows(Failure.class, memory::rssBytes).exitCode());
    }

    @Test
    void thisProcessHasMemory() throws Exception {
        ProcessMemory memory = new ProcessMemory(new File("/proc/self"));
        assertTrue(memory.rssBytes() > 1 << 20);
        assertTrue(memory.peakRssBytes() >= memory.rssBytes() / 2);
    }
}

package org.cnnexport.bench.device;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.cnnexport.bench.errors.Failure;

/**
 * Memory of this process as the kernel counts it; see
 * {@code benchmarks/worker/process_memory.py}.
 */
public final class ProcessMemory {
    private final File proc;

    public ProcessMemory(File proc) {
        this.proc = proc;
    }

    /** Lets the peak start anew, where the kernel can. */
    public void resetPeak() {
        try (FileOutputStream stream = new FileOutputStream(new File(proc, "clear_refs"))) {
            stream.write("5".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException kernelCannot) {
            // The peak then counts from the start of the process: larger, never smaller.
            return;
        }
    }

    /** The resident set now. */
    public long rssBytes() throws Failure {
        return required("VmRSS");
    }

    /** The largest resident set since the process began or {@link #resetPeak}. */
    public long peakRssBytes() throws Failure {
        return required("VmHWM");
    }

    /** The proportional set now, null where the kernel has none. */
    public Long pssBytes() {
        return ProcFiles.bytes(new File(proc, "smaps_rollup"), "Pss");
    }

    private long required(String name) throws Failure {
        Long bytes = ProcFiles.bytes(new File(proc, "status"), name);
        if (bytes == null) {
            throw Failure.unfit("this device does not tell " + name + " in /proc/self/status");
        }
        return bytes;
    }
}

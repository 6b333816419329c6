package org.cnnexport.bench;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

/** An artifact in its runtime, proven to be the right file with the right outputs. */
record LoadedArtifact(Hello hello, Model model) {
    /**
     * Loads the proven file, runs it once, and compares with the probe.
     *
     * @throws Failure parity: another file, or other outputs; refused: the runtime cannot load or
     *     run it; unavailable: this build has no such runtime
     */
    static LoadedArtifact load(File artifact, ProbeFile probe, int threads,
        Map<String, String> arguments, Clock clock) throws Failure {
        requireSameFile(artifact, probe);
        Runtime runtime = Runtimes.of(probe.runtime());
        String version = prepare(runtime, probe.runtime());
        List<ByteBuffer> inputs = ProbeInputs.of(probe);
        Map<String, String> own = RuntimeArguments.of(probe.runtime(), arguments);
        try {
            long start = clock.nanoseconds();
            Model model = runtime.load(artifact, probe, inputs, threads, own);
            long loaded = clock.nanoseconds();
            model.infer();
            long first = clock.nanoseconds();
            ProbeCheck.require(probe, model.outputs());
            return new LoadedArtifact(new Hello(
                probe.runtime(), version, threads, loaded - start, first - loaded), model);
        } catch (Failure | OutOfMemoryError known) {
            throw Failures.of(known);
        } catch (Exception | LinkageError error) {
            throw Failures.refused(
                probe.runtime() + " cannot load " + artifact + ": " + Failures.reason(error));
        }
    }

    /** Loads the runtime's classes and library; returns its version. */
    static String prepare(Runtime runtime, String name) throws Failure {
        try {
            return runtime.prepare();
        } catch (Exception | LinkageError missing) {
            throw Failures.unavailable("runtime " + name + " does not start on this device ("
                + Failures.reason(missing) + "); build the app for the device: make app ABIS=…");
        }
    }

    private static void requireSameFile(File artifact, ProbeFile probe) throws Failure {
        String digest = BoundedFiles.sha256(artifact);
        if (!digest.equals(probe.sha256())) {
            throw Failures.parity(artifact + " is not the file its manifest was written for (SHA-256 "
                + digest.substring(0, 12) + "…, recorded " + probe.sha256().substring(0, 12)
                + "…); push it again");
        }
    }
}

package org.cnnexport.bench.run;

import java.io.File;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.BoundedFiles;
import org.cnnexport.bench.probe.ProbeCheck;
import org.cnnexport.bench.probe.ProbeFile;
import org.cnnexport.bench.probe.ProbeInputs;
import org.cnnexport.bench.protocol.Hello;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.runtime.Runtime;
import org.cnnexport.bench.runtime.Runtimes;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.cnnexport.bench.timing.Clock;

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
        Map<String, TensorBuffer> inputs = ProbeInputs.of(probe);
        Map<String, String> own = Runtimes.argumentsOf(probe.runtime(), arguments);
        try {
            long start = clock.nanoseconds();
            Model model = runtime.load(artifact, inputs, probe.outputNames(), threads, own);
            long loaded = clock.nanoseconds();
            model.infer();
            long first = clock.nanoseconds();
            ProbeCheck.require(probe, model.outputs());
            return new LoadedArtifact(new Hello(
                probe.runtime(), version, threads, loaded - start, first - loaded), model);
        } catch (Failure | OutOfMemoryError known) {
            throw Failure.of(known);
        } catch (Exception | LinkageError error) {
            throw Failure.refused(
                probe.runtime() + " cannot load " + artifact + ": " + Failure.reason(error));
        }
    }

    /** Loads the runtime's classes and library; returns its version. */
    static String prepare(Runtime runtime, String name) throws Failure {
        try {
            return runtime.prepare();
        } catch (Exception | LinkageError missing) {
            throw Failure.unavailable("runtime " + name + " does not start on this device ("
                + Failure.reason(missing) + "); build the app for the device: make app ABIS=…");
        }
    }

    private static void requireSameFile(File artifact, ProbeFile probe) throws Failure {
        String digest = BoundedFiles.sha256(artifact);
        if (!digest.equals(probe.sha256())) {
            throw Failure.parity(artifact + " is not the file its manifest was written for (SHA-256 "
                + digest.substring(0, 12) + "…, recorded " + probe.sha256().substring(0, 12)
                + "…); push it again");
        }
    }
}

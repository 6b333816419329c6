package org.cnnexport.bench;

import java.io.File;
import java.util.ArrayList;
import java.util.List;

/** One run: load what is asked for, check it, measure, report. */
final class Runner {
    private static final int MEMORY_INFERENCES = 3;

    private final Surroundings surroundings;
    private final ResultWriter writer;

    Runner(Surroundings surroundings, ResultWriter writer) {
        this.surroundings = surroundings;
        this.writer = writer;
    }

    /** Does the job; what it throws, {@link Failures#of} turns into the failure to report. */
    void run(Options options) throws Exception {
        List<ProbeFile> probes = new ArrayList<>();
        List<String> runtimes = new ArrayList<>();
        for (Options.Source source : options.sources()) {
            ProbeFile probe = readProbe(source);
            probes.add(probe);
            runtimes.add(probe.runtime());
        }
        RuntimeArguments.require(options.runtimeArguments(), runtimes);
        if (options.kind() == Options.Kind.MEMORY) {
            memory(options, probes.get(0));
        } else {
            time(options, probes);
        }
    }

    /** What the probe file names is read too, so it is held to the same folders. */
    private ProbeFile readProbe(Options.Source source) throws Failure {
        surroundings.folders().requireReadable(source.artifact());
        surroundings.folders().requireReadable(source.probe());
        ProbeFile probe = ProbeReader.read(source.probe());
        for (TensorSpec input : probe.inputs()) {
            if (input.file() != null) {
                surroundings.folders().requireReadable(input.file());
            }
        }
        return probe;
    }

    private void time(Options options, List<ProbeFile> probes) throws Exception {
        List<LoadedArtifact> loaded = new ArrayList<>();
        for (int i = 0; i < probes.size(); i++) {
            loaded.add(load(options, i, probes.get(i)));
        }
        List<Hello> hellos = new ArrayList<>();
        for (LoadedArtifact artifact : loaded) {
            hellos.add(artifact.hello());
            writer.hello(artifact.hello());
        }
        writer.state(surroundings.state());
        surroundings.progress().stage("measuring");
        Timed timed = timed(options, loaded);
        requireFit(timed);
        surroundings.progress().stage(Summary.of(probes, hellos, timed));
        writer.samples(timed);
        writer.state(surroundings.state());
        writer.end(timed.count(), timed.warmUp(), timed.settled());
        for (LoadedArtifact artifact : loaded) {
            artifact.model().close();
        }
    }

    private LoadedArtifact load(Options options, int index, ProbeFile probe) throws Failure {
        surroundings.progress().stage("loading " + probe.name());
        return LoadedArtifact.load(options.sources().get(index).artifact(), probe,
            options.threads(), options.runtimeArguments(), surroundings.clock());
    }

    private Timed timed(Options options, List<LoadedArtifact> loaded) throws Exception {
        Model a = loaded.get(0).model();
        if (options.kind() == Options.Kind.TIME) {
            return TimingLoop.single(a, options.minTimeSeconds(), surroundings.clock());
        }
        return TimingLoop.pair(a, loaded.get(1).model(), options.minTimeSeconds(),
            options.bFirst(), options.block(), surroundings.clock());
    }

    private void requireFit(Timed timed) throws Failure {
        String spoiled = surroundings.progress().spoiled();
        if (spoiled != null) {
            throw Failures.unfit(spoiled);
        }
        requireForwardClock(timed);
    }

    private static void requireForwardClock(Timed timed) throws Failure {
        for (long[] series : timed.series()) {
            for (int i = 0; i < timed.count(); i++) {
                if (series[i] < 0) {
                    throw Failures.unfit("the device's clock went backwards by " + -series[i]
                        + " ns during a measurement; run again");
                }
            }
        }
    }

    /** The passes of {@code benchmarks/worker.py}: nothing is timed. */
    private void memory(Options options, ProbeFile probe) throws Exception {
        LoadedArtifact.prepare(Runtimes.of(probe.runtime()), probe.runtime());
        ProcessMemory memory = new ProcessMemory(new File(surroundings.proc(), "self"));
        memory.resetPeak();
        long baseline = memory.rssBytes();
        LoadedArtifact loaded = load(options, 0, probe);
        Long pss = memory.pssBytes();
        for (int i = 0; i < MEMORY_INFERENCES; i++) {
            loaded.model().infer();
            pss = larger(pss, memory.pssBytes());
        }
        // The kernel's counters lag by some pages: the peak may be read below the baseline.
        long peak = Math.max(baseline, memory.peakRssBytes());
        writer.hello(loaded.hello());
        writer.state(surroundings.state());
        writer.memory(peak, pss, baseline);
        writer.state(surroundings.state());
        writer.end(1, MEMORY_INFERENCES, true);
        loaded.model().close();
    }

    private static Long larger(Long a, Long b) {
        if (a == null || b == null) {
            return a == null ? b : a;
        }
        return Math.max(a, b);
    }
}

package org.cnnexport.bench.run;

import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.cnnexport.bench.device.ProcessMemory;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.errors.Printable;
import org.cnnexport.bench.probe.ProbeFile;
import org.cnnexport.bench.probe.ProbeReader;
import org.cnnexport.bench.protocol.Hello;
import org.cnnexport.bench.protocol.Options;
import org.cnnexport.bench.protocol.ResultWriter;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.runtime.Runtimes;
import org.cnnexport.bench.timing.TimingLoop;

/** One run: read the probes, load the artifacts, check them, measure, report. */
final class Runner {
    private static final int MEMORY_INFERENCES = 3;
    private static final double NS_PER_MS = 1e6;

    private final RunContext context;
    private final ResultWriter writer;

    Runner(RunContext context, ResultWriter writer) {
        this.context = context;
        this.writer = writer;
    }

    /** Does the job; what it throws, {@link Failure#of} turns into the failure to report. */
    void run(Options options) throws Exception {
        List<ProbeFile> probes = new ArrayList<>();
        List<String> runtimes = new ArrayList<>();
        for (Options.Source source : options.sources()) {
            ProbeFile probe = readProbe(source);
            probes.add(probe);
            runtimes.add(probe.runtime());
        }
        Runtimes.requireKnown(options.runtimeArguments(), runtimes);
        if (options.kind() == Options.Kind.MEMORY) {
            memory(options, probes.get(0));
        } else {
            time(options, probes);
        }
    }

    /** What the probe file names is read too, so it is held to the same folders. */
    private ProbeFile readProbe(Options.Source source) throws Failure {
        context.folders().requireReadable(source.artifact());
        context.folders().requireReadable(source.probe());
        ProbeFile probe = ProbeReader.read(source.probe());
        for (ProbeFile.Input input : probe.inputs()) {
            if (input.file() != null) {
                context.folders().requireReadable(input.file());
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
        writer.state(context.state());
        context.progress().stage("measuring");
        TimingLoop.Result times = times(options, loaded);
        requireFit(times);
        context.progress().stage(summary(probes, hellos, times));
        writer.samples(times.series(), times.count());
        writer.state(context.state());
        writer.end(times.count(), times.warmUp(), times.settled());
        for (LoadedArtifact artifact : loaded) {
            artifact.model().close();
        }
    }

    /** What a person at the phone reads; the host computes what counts from the samples. */
    private static String summary(List<ProbeFile> probes, List<Hello> hellos,
        TimingLoop.Result times) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < hellos.size(); i++) {
            Hello hello = hellos.get(i);
            double median = TimingLoop.median(times.series()[i], times.count()) / NS_PER_MS;
            text.append(String.format(Locale.ROOT, "%s%n%s %s, %d thread(s)%nmedian %.3f ms of %d"
                    + " inferences%n%n", Printable.clean(probes.get(i).name()), hello.runtime(),
                Printable.clean(hello.version()), hello.threads(), median, times.count()));
        }
        return text.append(times.settled() ? "" : "Times had not settled.\n").toString();
    }

    private LoadedArtifact load(Options options, int index, ProbeFile probe) throws Failure {
        context.progress().stage("loading " + probe.name());
        return LoadedArtifact.load(options.sources().get(index).artifact(), probe,
            options.threads(), options.runtimeArguments(), context.clock());
    }

    private TimingLoop.Result times(Options options, List<LoadedArtifact> loaded) throws Exception {
        Model a = loaded.get(0).model();
        if (options.kind() == Options.Kind.TIME) {
            return TimingLoop.single(a, options.minTimeSeconds(), context.clock());
        }
        return TimingLoop.pair(a, loaded.get(1).model(), options.minTimeSeconds(),
            options.bFirst(), options.block(), context.clock());
    }

    private void requireFit(TimingLoop.Result times) throws Failure {
        String failureReason = context.progress().failureReason();
        if (failureReason != null) {
            throw Failure.unfit(failureReason);
        }
        requireForwardClock(times);
    }

    private static void requireForwardClock(TimingLoop.Result times) throws Failure {
        for (long[] series : times.series()) {
            for (int i = 0; i < times.count(); i++) {
                if (series[i] < 0) {
                    throw Failure.unfit("the device's clock went backwards by " + -series[i]
                        + " ns during a measurement; run again");
                }
            }
        }
    }

    /** The passes of {@code benchmarks/worker/worker.py}: nothing is times. */
    private void memory(Options options, ProbeFile probe) throws Exception {
        LoadedArtifact.prepare(Runtimes.of(probe.runtime()), probe.runtime());
        ProcessMemory memory = new ProcessMemory(new File(context.proc(), "self"));
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
        writer.state(context.state());
        writer.memory(peak, pss, baseline);
        writer.state(context.state());
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

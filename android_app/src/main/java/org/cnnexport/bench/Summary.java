package org.cnnexport.bench;

import java.util.List;
import java.util.Locale;

/** What a person at the phone reads; everything that counts the host computes from the samples. */
final class Summary {
    private static final double NS_PER_MS = 1e6;

    private Summary() {
    }

    static String of(List<ProbeFile> probes, List<Hello> hellos, Timed timed) {
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < hellos.size(); i++) {
            Hello hello = hellos.get(i);
            double median = TimingLoop.median(timed.series()[i], timed.count()) / NS_PER_MS;
            text.append(String.format(Locale.ROOT, "%s%n%s %s, %d thread(s)%nmedian %.3f ms of %d"
                    + " inferences%n%n", Printable.clean(probes.get(i).name()), hello.runtime(),
                Printable.clean(hello.version()), hello.threads(), median, timed.count()));
        }
        return text.append(timed.settled() ? "" : "Times had not settled.\n").toString();
    }
}

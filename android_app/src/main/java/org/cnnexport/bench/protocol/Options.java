package org.cnnexport.bench.protocol;

import java.io.File;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;

/** One run, as {@code key=value} pairs describe it. */
public record Options(
    Kind kind,
    List<Source> sources,
    int threads,
    double minTimeSeconds,
    boolean bFirst,
    int block,
    Map<String, String> runtimeArguments,
    File out) {

    /** What is measured. */
    public enum Kind { TIME, PAIR, MEMORY }

    /** An artifact and the probe it is checked with. */
    public record Source(File artifact, File probe) {
    }

    static final int THREADS_MAX = 256;
    static final int BLOCK_MAX = 10_000;
    static final double SECONDS_MAX = 3600;

    /**
     * Reads a command line.
     *
     * @throws Failure usage: unknown, repeated, missing or malformed
     */
    public static Options parse(List<String> arguments) throws Failure {
        KeyValues pairs = KeyValues.read("options", Failure.USAGE, arguments);
        Kind kind = kindOf(pairs.choice("kind", List.of("time", "pair", "memory")));
        Source first = source(pairs, "");
        List<Source> sources =
            kind == Kind.PAIR ? List.of(first, source(pairs, ".b")) : List.of(first);
        Options options = new Options(
            kind,
            sources,
            pairs.whole("threads", 1, THREADS_MAX),
            seconds(pairs, kind),
            kind == Kind.PAIR && pairs.has("b_first") && pairs.flag("b_first"),
            kind == Kind.PAIR && pairs.has("block") ? pairs.whole("block", 1, BLOCK_MAX) : 1,
            pairs.under("runtime_arg."),
            pairs.has("out") ? absolute(pairs, "out") : null);
        pairs.requireAllTaken();
        return options;
    }

    /**
     * Returns where results go, before all is read: mistakes elsewhere are reported there too.
     *
     * @return null where none or more than one is named
     */
    public static File outOf(List<String> arguments) {
        File found = null;
        for (String argument : arguments) {
            if (argument.startsWith("out=/") && argument.indexOf('\0') < 0) {
                if (found != null) {
                    return null;
                }
                found = new File(argument.substring("out=".length()));
            }
        }
        return found;
    }

    private static Kind kindOf(String text) {
        return switch (text) {
            case "time" -> Kind.TIME;
            case "pair" -> Kind.PAIR;
            default -> Kind.MEMORY;
        };
    }

    private static Source source(KeyValues pairs, String suffix) throws Failure {
        return new Source(absolute(pairs, "artifact" + suffix), absolute(pairs, "probe" + suffix));
    }

    private static File absolute(KeyValues pairs, String key) throws Failure {
        String path = pairs.text(key);
        if (!path.startsWith("/") || path.indexOf('\0') >= 0) {
            throw pairs.malformed(key, "an absolute path", path, "");
        }
        return new File(path);
    }

    /** The memory pass takes no time, so it may be left out there. */
    private static double seconds(KeyValues pairs, Kind kind) throws Failure {
        if (kind == Kind.MEMORY && !pairs.has("min_time_s")) {
            return 0;
        }
        double seconds = pairs.decimal("min_time_s");
        if (seconds < 0 || seconds > SECONDS_MAX) {
            throw pairs.malformed("min_time_s", "from 0 to " + (int) SECONDS_MAX,
                pairs.text("min_time_s"), "");
        }
        return seconds;
    }
}

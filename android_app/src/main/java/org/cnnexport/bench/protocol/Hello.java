package org.cnnexport.bench.protocol;

/** The message about an artifact's load: the runtime and its version, times in nanoseconds. */
public record Hello(String runtime, String version, int threads, long loadNs, long firstNs) {
}

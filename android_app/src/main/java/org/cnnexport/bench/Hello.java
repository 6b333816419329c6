package org.cnnexport.bench;

/** What there is to tell about an artifact's load. */
record Hello(String runtime, String version, int threads, long loadNs, long firstNs) {
}

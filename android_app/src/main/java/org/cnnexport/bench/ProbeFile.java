package org.cnnexport.bench;

import java.util.List;

/** What the host derived from a manifest: what to feed the artifact, and what must come out. */
record ProbeFile(
    String name,
    String sha256,
    String runtime,
    long seed,
    boolean pixels,
    double tolerance,
    List<TensorSpec> inputs,
    List<ExpectedOutput> outputs) {
}

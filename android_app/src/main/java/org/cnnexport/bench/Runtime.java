package org.cnnexport.bench;

import java.io.File;
import java.nio.ByteBuffer;
import java.util.List;
import java.util.Map;

/** One vendor's runtime. */
interface Runtime {
    /**
     * Loads the vendor's classes and library, so that the time of a load is the artifact's own.
     *
     * @return the vendor's version
     */
    String prepare() throws Exception;

    /**
     * Loads an artifact and places its inputs.
     *
     * @param inputs one direct buffer per input of the probe, in its order
     * @param arguments those that {@link RuntimeArguments} knows of this runtime
     */
    Model load(File artifact, ProbeFile probe, List<ByteBuffer> inputs, int threads,
        Map<String, String> arguments) throws Exception;
}

package org.cnnexport.bench.runtime;

import java.io.File;
import java.util.List;
import java.util.Map;
import org.cnnexport.bench.tensor.TensorBuffer;

/** One vendor's runtime. */
public interface Runtime {
    /**
     * Loads the vendor's classes and library, so that the time of a load is the artifact's own.
     *
     * @return the vendor's version
     */
    String prepare() throws Exception;

    /**
     * Loads an artifact and places its inputs.
     *
     * @param inputs by name, in the manifest's order, in direct buffers
     * @param outputNames in the manifest's order
     * @param arguments those that {@link Runtimes} knows of this runtime
     */
    Model load(File artifact, Map<String, TensorBuffer> inputs, List<String> outputNames,
        int threads, Map<String, String> arguments) throws Exception;
}

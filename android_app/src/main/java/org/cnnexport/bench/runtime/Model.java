package org.cnnexport.bench.runtime;

import java.util.Map;
import org.cnnexport.bench.tensor.TensorBuffer;

/** An artifact in its runtime with its inputs in place. */
public interface Model {
    /** Runs once: what is timed. Results stay where the runtime puts them. */
    void infer() throws Exception;

    /** Returns the results of the last {@link #infer} by name. */
    Map<String, TensorBuffer> outputs() throws Exception;

    /** Frees what the runtime holds. */
    void close() throws Exception;
}

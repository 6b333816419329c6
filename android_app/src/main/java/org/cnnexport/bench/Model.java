package org.cnnexport.bench;

import java.util.Map;

/** An artifact in its runtime with its inputs in place. */
interface Model {
    /** Runs once: what is timed. Results stay where the runtime puts them. */
    void infer() throws Exception;

    /** Returns the results of the last {@link #infer} by name. */
    Map<String, Output> outputs() throws Exception;

    /** Frees what the runtime holds. */
    void close() throws Exception;
}

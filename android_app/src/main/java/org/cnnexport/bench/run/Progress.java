package org.cnnexport.bench.run;

/** Shows what a run is doing; never called inside the timed region. */
public interface Progress {
    /** Adds a line for the person who looks at the phone. */
    void stage(String text);

    /** Returns why what was just measured does not count, null if it does. */
    String failureReason();
}

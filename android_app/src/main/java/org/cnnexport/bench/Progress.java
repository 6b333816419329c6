package org.cnnexport.bench;

/** Hears what a run is doing; never called inside the timed region. */
interface Progress {
    /** For the person who looks at the phone. */
    void stage(String text);

    /** Why what was just measured does not count, null if it does. */
    String spoiled();
}

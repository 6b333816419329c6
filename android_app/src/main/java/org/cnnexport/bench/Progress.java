package org.cnnexport.bench;

/** Hears what a run is doing; never called inside the timed region. */
interface Progress {
    void stage(String text);
}

package org.cnnexport.bench;

/** Nanoseconds of a monotonic clock. */
interface Clock {
    long nanoseconds();
}

package org.cnnexport.bench.timing;

/** Nanoseconds of a monotonic clock. */
public interface Clock {
    long nanoseconds();
}

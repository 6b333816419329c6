package org.cnnexport.bench.probe;

/**
 * The probe's numbers: the same as {@code export/proof/splitmix64.py} gives.
 *
 * <p>SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA
 * 2014).
 */
final class SplitMix64 {
    private static final long GAMMA = 0x9E3779B97F4A7C15L;
    private static final int DROPPED_BITS = 64 - 24;

    private long state;

    /** Starts at {@code seed}, taken as an unsigned number. */
    SplitMix64(long seed) {
        state = seed;
    }

    long next() {
        state += GAMMA;
        long z = state;
        z = (z ^ z >>> 30) * 0xBF58476D1CE4E5B9L;
        z = (z ^ z >>> 27) * 0x94D049BB133111EBL;
        return z ^ z >>> 31;
    }

    /** Returns a multiple of 2**-24 in [0, 1): the top 24 bits. */
    float uniform() {
        return (next() >>> DROPPED_BITS) * 0x1p-24f;
    }
}

package org.cnnexport.bench.probe;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

final class SplitMix64Test {
    /** The reference implementation's first outputs for seed 1234567. */
    @Test
    void splitMix64IsTheReferences() {
        SplitMix64 random = new SplitMix64(1234567);
        long[] expected = {
            6457827717110365317L, 3203168211198807973L, Long.parseUnsignedLong("9817491932198370423"),
            4593380528125082431L, Long.parseUnsignedLong("16408922859458223821")};
        for (long value : expected) {
            assertEquals(value, random.next());
        }
    }
}

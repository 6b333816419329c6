package org.cnnexport.bench;

import java.io.File;
import java.util.Arrays;

/** One input of an artifact, in the artifact's own layout; {@code file} is null if generated. */
record TensorSpec(String name, long[] shape, ElementType type, boolean channelsLast, File file) {
    int count() {
        return count(shape);
    }

    /** Returns the number of values of a shape that {@link ProbeReader} has bounded. */
    static int count(long[] shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        return (int) count;
    }

    int[] intShape() {
        return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
    }
}

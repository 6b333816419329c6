package org.cnnexport.bench.tensor;

import java.nio.ByteBuffer;
import java.util.Arrays;

/** A tensor's values in native byte order, from the buffer's start, in row-major order. */
public record TensorBuffer(long[] shape, ElementType type, ByteBuffer values) {
    /** Returns the number of values. */
    public int count() {
        return count(shape);
    }

    /** Returns the number of values of a shape that has at most 2**31 − 1. */
    public static int count(long[] shape) {
        long count = 1;
        for (long size : shape) {
            count *= size;
        }
        return (int) count;
    }

    public int[] intShape() {
        return Arrays.stream(shape).mapToInt(Math::toIntExact).toArray();
    }
}

package org.cnnexport.bench.tensor;

/** IEEE 754 binary16, which Java 17 has no type for. */
final class HalfFloat {
    private static final int MANTISSA_DROPPED = 13;
    private static final int BIAS_DIFFERENCE = 127 - 15;
    private static final float LARGEST_ROUNDED_DOWN = 65520f;
    private static final float SMALLEST_NORMAL = 0x1p-14f;
    private static final float SUBNORMAL_STEP = 0x1p-24f;

    private HalfFloat() {
    }

    /** Rounds to the nearest, ties to even, as numpy does. */
    static short of(float value) {
        int sign = Float.floatToRawIntBits(value) >>> 16 & 0x8000;
        float magnitude = Math.abs(value);
        if (Float.isNaN(value)) {
            return (short) (sign | 0x7E00);
        }
        if (magnitude >= LARGEST_ROUNDED_DOWN) {
            return (short) (sign | 0x7C00);
        }
        if (magnitude < SMALLEST_NORMAL) {
            return (short) (sign | (int) Math.rint(magnitude / SUBNORMAL_STEP));
        }
        int bits = Float.floatToRawIntBits(magnitude) - (BIAS_DIFFERENCE << 23);
        int odd = bits >>> MANTISSA_DROPPED & 1;
        return (short) (sign | bits + 0xFFF + odd >>> MANTISSA_DROPPED);
    }

    static float toFloat(short half) {
        int exponent = half >>> 10 & 0x1F;
        int mantissa = half & 0x3FF;
        float sign = half < 0 ? -1f : 1f;
        if (exponent == 0) {
            return sign * mantissa * SUBNORMAL_STEP;
        }
        if (exponent == 0x1F) {
            return mantissa != 0 ? Float.NaN : sign * Float.POSITIVE_INFINITY;
        }
        int bits = exponent + BIAS_DIFFERENCE << 23 | mantissa << MANTISSA_DROPPED;
        return sign * Float.intBitsToFloat(bits);
    }
}

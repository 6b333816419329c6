package org.cnnexport.bench.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

/** Against values known from elsewhere; the pytest side compares whole inputs with numpy. */
final class NumbersTest {
    @Test
    void everyHalfSurvivesTheWayThere() {
        for (int bits = 0; bits < 0x10000; bits++) {
            float value = HalfFloat.toFloat((short) bits);
            if (!Float.isNaN(value)) {
                assertEquals((short) bits, HalfFloat.of(value), Integer.toHexString(bits));
            }
        }
        assertEquals(0x7E00, HalfFloat.of(Float.NaN));
    }

    @Test
    void halvesRoundToTheNearestAndToEvenOnATie() {
        assertEquals(HalfFloat.of(1f), HalfFloat.of(1f + 0x1p-11f));
        assertEquals(HalfFloat.of(1f + 0x1p-10f), HalfFloat.of(1f + 0x1p-11f + 0x1p-20f));
        assertEquals(HalfFloat.of(1f + 0x1p-9f), HalfFloat.of(1f + 0x1p-10f + 0x1p-11f));
        assertEquals(HalfFloat.of(65504f), HalfFloat.of(65519.99f));
        assertEquals(0x7C00, HalfFloat.of(65520f));
        assertEquals(0x0001, HalfFloat.of(0x1p-24f));
        assertEquals(0x0400, HalfFloat.of(0x1p-14f - 0x1p-26f));
    }

    @Test
    void everyTypeReadsWhatItWrote() {
        ByteBuffer buffer = ByteBuffer.allocate(64).order(ByteOrder.nativeOrder());
        for (ElementType type : ElementType.values()) {
            for (float value : new float[] {1, 0}) {
                type.put(buffer, 3, value);
                assertEquals(value, type.get(buffer, 3), type.label());
            }
        }
        buffer.put(0, (byte) -1);
        assertEquals(255, ElementType.UINT8.get(buffer, 0));
        assertEquals(-1, ElementType.INT8.get(buffer, 0));
        assertEquals(1, ElementType.BOOL.get(buffer, 0));
    }
}

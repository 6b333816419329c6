package org.cnnexport.bench.tensor;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** A tensor's number type, as the manifest names it. */
public enum ElementType {
    FLOAT32(4, true),
    FLOAT16(2, true),
    FLOAT64(8, true),
    INT8(1, false),
    INT16(2, false),
    INT32(4, false),
    INT64(8, false),
    UINT8(1, false),
    BOOL(1, false);

    public final int bytes;
    public final boolean floating;

    ElementType(int bytes, boolean floating) {
        this.bytes = bytes;
        this.floating = floating;
    }

    public String label() {
        return name().toLowerCase(Locale.ROOT);
    }

    public static List<String> labels() {
        List<String> labels = new ArrayList<>();
        for (ElementType type : values()) {
            labels.add(type.label());
        }
        return labels;
    }

    public static ElementType of(String label) {
        return valueOf(label.toUpperCase(Locale.ROOT));
    }

    /** Writes the {@code index}-th value of a buffer in this type. */
    public void put(ByteBuffer buffer, int index, float value) {
        switch (this) {
            case FLOAT32 -> buffer.putFloat(4 * index, value);
            case FLOAT16 -> buffer.putShort(2 * index, HalfFloat.of(value));
            case FLOAT64 -> buffer.putDouble(8 * index, value);
            case INT16 -> buffer.putShort(2 * index, (short) value);
            case INT32 -> buffer.putInt(4 * index, (int) value);
            case INT64 -> buffer.putLong(8 * index, (long) value);
            case INT8, UINT8, BOOL -> buffer.put(index, (byte) value);
        }
    }

    /** Reads the {@code index}-th value of a buffer in this type. */
    public double get(ByteBuffer buffer, int index) {
        return switch (this) {
            case FLOAT32 -> buffer.getFloat(4 * index);
            case FLOAT16 -> HalfFloat.toFloat(buffer.getShort(2 * index));
            case FLOAT64 -> buffer.getDouble(8 * index);
            case INT16 -> buffer.getShort(2 * index);
            case INT32 -> buffer.getInt(4 * index);
            case INT64 -> buffer.getLong(8 * index);
            case INT8 -> buffer.get(index);
            case UINT8 -> buffer.get(index) & 0xFF;
            case BOOL -> buffer.get(index) == 0 ? 0 : 1;
        };
    }
}

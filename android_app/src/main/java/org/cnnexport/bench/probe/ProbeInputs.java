package org.cnnexport.bench.probe;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.LinkedHashMap;
import java.util.Map;
import org.cnnexport.bench.errors.Failure;
import org.cnnexport.bench.files.BoundedFiles;
import org.cnnexport.bench.tensor.ElementType;
import org.cnnexport.bench.tensor.TensorBuffer;

/** Makes a probe's inputs, in the artifact's own layout and type. */
public final class ProbeInputs {
    private static final float PIXEL_LEVELS = 256f;

    private ProbeInputs() {
    }

    /** Returns direct buffers by name, as the runtimes take them without a copy. */
    public static Map<String, TensorBuffer> of(ProbeFile probe) throws Failure {
        Map<String, TensorBuffer> inputs = new LinkedHashMap<>();
        long seed = probe.seed();
        for (ProbeFile.Input input : probe.inputs()) {
            ByteBuffer values = values(input, seed++, probe.pixels());
            inputs.put(input.name(), new TensorBuffer(input.shape(), input.type(), values));
        }
        return inputs;
    }

    private static ByteBuffer values(ProbeFile.Input input, long seed, boolean pixels)
        throws Failure {
        ByteBuffer buffer = ByteBuffer.allocateDirect(input.count() * input.type().bytes)
            .order(ByteOrder.nativeOrder());
        if (input.file() != null) {
            BoundedFiles.fill(input.file(), buffer);
        } else {
            draw(input, new SplitMix64(seed), pixels, buffer);
        }
        return buffer;
    }

    /** Values are drawn in NCHW order, then laid out. */
    private static void draw(ProbeFile.Input input, SplitMix64 random, boolean pixels,
        ByteBuffer into) {
        int count = input.count();
        long[] shape = input.shape();
        int channels = input.channelsLast() ? (int) shape[3] : 1;
        int pixelsPerChannel = input.channelsLast() ? (int) (shape[1] * shape[2]) : 1;
        for (int drawn = 0; drawn < count; drawn++) {
            int place = input.channelsLast() ? channelsLast(drawn, channels, pixelsPerChannel)
                : drawn;
            input.type().put(into, place, value(random.uniform(), input.type(), pixels));
        }
    }

    private static int channelsLast(int drawn, int channels, int pixelsPerChannel) {
        int image = drawn / (channels * pixelsPerChannel);
        int channel = drawn / pixelsPerChannel % channels;
        int pixel = drawn % pixelsPerChannel;
        return (image * pixelsPerChannel + pixel) * channels + channel;
    }

    /** Scaling by a power of two is exact; the cast to a whole number drops the fraction. */
    private static float value(float uniform, ElementType type, boolean pixels) {
        int level = (int) (uniform * PIXEL_LEVELS);
        if (pixels && type == ElementType.UINT8) {
            return level;
        }
        if (pixels && type == ElementType.INT8) {
            return level + Byte.MIN_VALUE;
        }
        if (!type.floating) {
            return (int) (uniform * 2);
        }
        return pixels ? level : uniform;
    }
}

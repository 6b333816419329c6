package org.cnnexport.bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/** Makes a probe's inputs, in the artifact's own layout and type. */
final class ProbeInputs {
    private static final float PIXEL_LEVELS = 256f;

    private ProbeInputs() {
    }

    /** Returns direct buffers in native order, as the runtimes take them without a copy. */
    static List<ByteBuffer> of(ProbeFile probe) throws Failure {
        List<ByteBuffer> buffers = new ArrayList<>();
        for (int i = 0; i < probe.inputs().size(); i++) {
            buffers.add(input(probe.inputs().get(i), probe.seed() + i, probe.pixels()));
        }
        return buffers;
    }

    private static ByteBuffer input(TensorSpec spec, long seed, boolean pixels) throws Failure {
        ByteBuffer buffer = ByteBuffer.allocateDirect(spec.count() * spec.type().bytes)
            .order(ByteOrder.nativeOrder());
        if (spec.file() != null) {
            BoundedFiles.fill(spec.file(), buffer);
        } else {
            draw(spec, new SplitMix64(seed), pixels, buffer);
        }
        return buffer;
    }

    /** Values are drawn in NCHW order, then laid out. */
    private static void draw(TensorSpec spec, SplitMix64 random, boolean pixels, ByteBuffer into) {
        int count = spec.count();
        int channels = spec.channelsLast() ? (int) spec.shape()[3] : 1;
        int pixelsPerChannel = spec.channelsLast() ? (int) (spec.shape()[1] * spec.shape()[2]) : 1;
        for (int drawn = 0; drawn < count; drawn++) {
            int place = spec.channelsLast() ? channelsLast(drawn, channels, pixelsPerChannel)
                : drawn;
            spec.type().put(into, place, value(random.uniform(), spec.type(), pixels));
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
        if (!type.floating) {
            return (int) (uniform * 2);
        }
        return pixels ? (int) (uniform * PIXEL_LEVELS) : uniform;
    }
}

package org.cnnexport.bench.timing;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Map;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.TensorBuffer;
import org.junit.jupiter.api.Test;

/** The cases of {@code tests/benchmarks/worker/test_timing_loop.py}, with the same numbers. */
final class TimingLoopTest {
    private static final long MS = 1_000_000;

    private final ManualClock clock = new ManualClock();

    private static long[] samples(TimingLoop.Result timed, int row) {
        return Arrays.copyOf(timed.series()[row], timed.count());
    }

    private static long[] constant(int count, long value) {
        long[] values = new long[count];
        Arrays.fill(values, value);
        return values;
    }

    @Test
    void aSteadyNetworkNeedsTwoWindowsAndKeepsEverySample() throws Exception {
        TimingLoop.Result timed = TimingLoop.single(clock.model("a", i -> MS), 0.1, clock);
        assertArrayEquals(constant(100, MS), samples(timed, 0));
        assertTrue(timed.settled());
        assertEquals(10 + 10 + TimingLoop.LEAD_IN_INFERENCES, timed.warmUp());
        assertEquals(timed.warmUp() + 100, clock.log.length());
    }

    @Test
    void warmUpLastsUntilTwoWindowsAgree() throws Exception {
        Model model = clock.model("a",
            i -> i < 4 ? 3 * MS : i < 9 ? 2 * MS : i < 19 ? MS + MS / 10 : MS);
        TimingLoop.Result timed = TimingLoop.single(model, 0.1, clock);
        assertTrue(timed.settled());
        assertArrayEquals(constant(timed.count(), MS), samples(timed, 0));
        assertEquals(4 + 5 + 10 + 10 + 10 + TimingLoop.LEAD_IN_INFERENCES, timed.warmUp());
    }

    @Test
    void aNetworkThatNeverSettlesSaysSoAfterTheMeasuringTime() throws Exception {
        Model model = clock.model("a", i -> MS + i * MS / 20);
        TimingLoop.Result timed = TimingLoop.single(model, 0.1, clock);
        assertFalse(timed.settled());
        assertTrue(Arrays.stream(samples(timed, 0)).sum() >= 100 * MS);
    }

    @Test
    void aSlowNetworkStillGivesWindowsAndSamples() throws Exception {
        Model model = clock.model("a", i -> 10_000 * MS + i * 1_000 * MS);
        TimingLoop.Result timed = TimingLoop.single(model, 0.5, clock);
        assertEquals(TimingLoop.MINIMUM_SAMPLES, timed.count());
        assertEquals(TimingLoop.MINIMUM_WINDOWS * TimingLoop.WINDOW_INFERENCES
            + TimingLoop.LEAD_IN_INFERENCES, timed.warmUp());
        assertFalse(timed.settled());
    }

    @Test
    void aStuckClockEnds() throws Exception {
        TimingLoop.Result timed = TimingLoop.single(clock.model("a", i -> 0), 0.5, clock);
        assertEquals(TimingLoop.MAXIMUM_SAMPLES, timed.count());
        assertTrue(timed.warmUp() <= TimingLoop.WARM_UP_INFERENCES_MAX + 1
            + TimingLoop.LEAD_IN_INFERENCES);
    }

    @Test
    void pairsInterleaveInBlocksAndKeepWhoIsWho() throws Exception {
        for (boolean bFirst : new boolean[] {false, true}) {
            for (int block : new int[] {1, 3}) {
                pairsInterleave(bFirst, block);
            }
        }
    }

    private static void pairsInterleave(boolean bFirst, int block) throws Exception {
        ManualClock clock = new ManualClock();
        Model a = clock.model("a", i -> 2 * MS);
        Model b = clock.model("b", i -> 5 * MS);
        TimingLoop.Result timed = TimingLoop.pair(a, b, 0.07, bFirst, block, clock);
        assertArrayEquals(constant(timed.count(), 2 * MS), samples(timed, 0));
        assertArrayEquals(constant(timed.count(), 5 * MS), samples(timed, 1));
        assertTrue(timed.count() * 7 * MS >= 140 * MS);
        String order = bFirst ? "ba" : "ab";
        String round = order.substring(0, 1).repeat(block) + order.substring(1).repeat(block);
        String measured = clock.log.substring(clock.log.length() - 2 * timed.count());
        assertEquals(round.repeat(timed.count() / block), measured);
    }

    @Test
    void aPairIsSettledWhenBothAre() throws Exception {
        Model steady = clock.model("a", i -> MS);
        Model unsteady = clock.model("b", i -> MS * (1 + i % 40));
        assertFalse(TimingLoop.pair(steady, unsteady, 0.1, false, 1, clock).settled());
    }

    @Test
    void settledIsWithinTwoPercentOfAll() {
        assertTrue(TimingLoop.isSettled(new double[] {100}, new double[] {102}));
        assertFalse(TimingLoop.isSettled(new double[] {100}, new double[] {97.9}));
        assertFalse(TimingLoop.isSettled(new double[] {100, 100}, new double[] {100, 103}));
        assertTrue(TimingLoop.isSettled(new double[] {0}, new double[] {0}));
    }

    @Test
    void theMedianOfAnEvenCountLiesBetween() {
        assertEquals(2.5, TimingLoop.median(new long[] {4, 1, 3, 2, 99}, 4));
        assertEquals(3, TimingLoop.median(new long[] {4, 1, 3}, 3));
    }

    /** A model that notes how much its thread has allocated at every call. */
    private static final class AllocationWatch implements Model {
        private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        private final long[] seen = new long[2 * TimingLoop.MAXIMUM_SAMPLES];
        private int count;

        @Override
        public void infer() {
            seen[count++] = threads.getCurrentThreadAllocatedBytes();
        }

        @Override
        public Map<String, TensorBuffer> outputs() {
            return Map.of();
        }

        @Override
        public void close() {
        }
    }

    @Test
    void nothingIsAllocatedBetweenTheSamples() throws Exception {
        AllocationWatch watch = new AllocationWatch();
        TimingLoop.Result timed = TimingLoop.single(watch, 0.02, System::nanoTime);
        long first = watch.seen[watch.count - timed.count()];
        assertEquals(first, watch.seen[watch.count - 1]);
        assertTrue(timed.count() > TimingLoop.MINIMUM_SAMPLES);
    }
}

package org.cnnexport.bench;

import java.util.Map;
import java.util.function.LongUnaryOperator;

/** A clock that only inferences advance, and that logs who inferred. */
final class ManualClock implements Clock {
    final StringBuilder log = new StringBuilder();
    private long now;

    @Override
    public long nanoseconds() {
        return now;
    }

    /** A model whose {@code i}-th inference takes {@code durations(i)} nanoseconds. */
    Model model(String name, LongUnaryOperator durations) {
        return new Model() {
            private long count;

            @Override
            public void infer() {
                now += durations.applyAsLong(count++);
                log.append(name);
            }

            @Override
            public Map<String, Output> outputs() {
                return Map.of();
            }

            @Override
            public void close() {
            }
        };
    }
}

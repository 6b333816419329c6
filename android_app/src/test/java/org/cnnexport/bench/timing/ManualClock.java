package org.cnnexport.bench.timing;

import java.util.Map;
import java.util.function.LongUnaryOperator;
import org.cnnexport.bench.runtime.Model;
import org.cnnexport.bench.tensor.TensorBuffer;

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
            public Map<String, TensorBuffer> outputs() {
                return Map.of();
            }

            @Override
            public void close() {
            }
        };
    }
}

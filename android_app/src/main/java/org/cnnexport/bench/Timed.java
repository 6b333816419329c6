package org.cnnexport.bench;

/**
 * What a timing loop found.
 *
 * @param series nanoseconds of each inference, one row per artifact; valid up to {@code count}
 * @param warmUp inferences of each artifact before the first sample
 */
record Timed(long[][] series, int count, int warmUp, boolean settled) {
}

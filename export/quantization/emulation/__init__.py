"""A quantized graph computed to the last bit as each runtime does: what artifacts must equal."""

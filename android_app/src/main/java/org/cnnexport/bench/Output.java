package org.cnnexport.bench;

import java.nio.ByteBuffer;

/** One result of a run: values in native order, from the buffer's start. */
record Output(long[] shape, ElementType type, ByteBuffer values) {
}

"""FlatBuffers by a parsed schema, every offset checked."""

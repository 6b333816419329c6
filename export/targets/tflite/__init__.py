"""TFLite (LiteRT), run in ai-edge-litert."""

"""Reading ``.onnx`` files."""

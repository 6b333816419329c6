"""What an artifact costs to run, from its operators: multiply-accumulates and bytes.

One shape for ``.tflite``, ``.onnx``, ``.pte`` and ``.mlpackage``, whose files
:mod:`cnn_export.artifact_files` reads. Nothing here loads torch.
"""

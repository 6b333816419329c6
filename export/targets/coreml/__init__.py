"""Core ML's program format (MIL): reading, writing and a reference evaluator in torch.

The evaluator computes what a *saved* package says, so that a conversion is checked on machines
where Core ML itself cannot predict. MIL: https://apple.github.io/coremltools/docs-guides/
"""

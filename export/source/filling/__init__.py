"""The file's tensors → the network, and the proof that they are its tensors afterwards."""

"""Samples that ranges are measured on and accuracy is judged by: streamed, recorded, split."""

"""A phone made ready for a run, held so, and put back."""

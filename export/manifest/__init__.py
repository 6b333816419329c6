"""``NAME.manifest.json``: what an artifact is, where it came from, and how far it was proven."""

"""The files that are measured or judged, each with a manifest that it bears out."""

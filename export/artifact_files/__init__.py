"""Artifact files read as operator graphs: one reader per format."""

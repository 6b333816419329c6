"""The passes of the stage, one per file."""

"""Reading ``.pte`` files."""

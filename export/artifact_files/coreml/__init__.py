"""Reading ``.mlpackage`` folders."""

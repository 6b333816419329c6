"""One spelling for what can be written in several ways."""

"""In-place operators as operators that write nothing."""

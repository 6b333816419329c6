"""Passes that spell arithmetic in the operators that a runtime has."""

"""Phones over adb: find them, carry files there, run the measuring app, watch and put back."""

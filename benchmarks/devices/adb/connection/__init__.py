"""Talking to a phone over adb: server, shell, files."""

"""What a phone goes through while a process is timed."""

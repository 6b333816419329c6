"""This host, read: its processors, its memory, and the limits that a container sets on both."""

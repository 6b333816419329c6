"""Does the harness tell a file from itself, and are its statistics right on known noise?"""

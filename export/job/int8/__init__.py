"""What an int8 job adds: its options, its one decision, what is recorded and shown of it."""

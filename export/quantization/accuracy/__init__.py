"""What int8 does to a network's answers: figures, a verdict, and the layers behind it."""

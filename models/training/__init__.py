"""Data, losses and the loop that the shipped checkpoint was trained with."""

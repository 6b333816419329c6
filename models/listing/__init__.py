"""What networks cost against what their authors state, and the list of them."""

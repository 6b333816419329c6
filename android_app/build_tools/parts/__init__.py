"""The pinned parts: which they are, how they are fetched, and what is taken out of them."""

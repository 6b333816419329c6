"""One export job, from request to files: the steps in order, and what a person sees of them."""

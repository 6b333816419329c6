"""Parts of the study of the reparameterization."""

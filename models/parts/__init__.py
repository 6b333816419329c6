"""What families share: blocks, width arithmetic, conversions of any network."""

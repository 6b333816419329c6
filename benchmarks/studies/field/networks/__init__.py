"""Small networks of the field's kinds, each written from its paper: one file each."""

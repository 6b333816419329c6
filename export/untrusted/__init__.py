"""Files that nobody vouches for: opened, copied and read within bounds."""

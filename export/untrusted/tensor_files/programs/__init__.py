"""``.pt2`` files: their records, and what in them could run code."""

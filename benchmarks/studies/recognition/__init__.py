"""How networks are found: the indices that are generated, and how long naming one takes."""

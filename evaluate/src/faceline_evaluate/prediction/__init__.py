"""`faceline-evaluate predict`: photos, or aligned faces, to a table of who is in them."""

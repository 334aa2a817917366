"""A run in the formats of other tools: rows in, a file out, one row at a time."""

"""Live rows from logs and traces, one reader per format, and the independent units that they are."""

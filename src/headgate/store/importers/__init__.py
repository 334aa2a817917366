"""Results of other tools: one reader per format, and the table of scores that all of them become."""

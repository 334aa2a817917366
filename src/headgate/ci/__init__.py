"""Verdicts to other systems, and the files that ``headgate init`` writes."""

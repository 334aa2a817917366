"""Suites of other tools: read into a draft, with a list of what could not be carried over, and written as files."""

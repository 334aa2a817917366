"""Verdicts and runs, for people."""

"""Scores: columns in, columns out."""

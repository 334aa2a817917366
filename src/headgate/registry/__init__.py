"""Prompts as versioned files: readers per format, digests, and where each version came from."""

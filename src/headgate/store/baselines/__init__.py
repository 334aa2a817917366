"""Stored baselines: finished runs that later changes are judged against, in a folder, a git repository or a bucket."""

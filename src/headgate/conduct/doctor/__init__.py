"""The doctor: what of a suite, its keys, its endpoints and this machine would spoil a run, and what to do."""

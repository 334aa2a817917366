"""The embedded provider: simulated models of known accuracy behind real loopback HTTP, for demos, docs and tests."""

"""The only code that writes results: journal, parts, manifest, checksums."""

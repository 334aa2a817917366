"""GitHub Actions: a verdict as outputs, job summary, annotations and one comment that stays in its place."""

from __future__ import annotations

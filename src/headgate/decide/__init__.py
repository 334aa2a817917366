"""From estimates to a verdict."""

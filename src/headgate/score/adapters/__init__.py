"""Evaluators of other frameworks as scorers; none of the frameworks is imported before a suite names it."""

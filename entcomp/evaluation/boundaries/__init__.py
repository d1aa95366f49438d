"""Boundaries of groups against those of words and phones."""

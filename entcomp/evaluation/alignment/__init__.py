"""Aligners, which find the times of words and phones."""

"""Scores: boundaries against alignments, texts, voices."""

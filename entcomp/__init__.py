"""Entropy-based compression of speech units (arXiv 2509.00503)."""

__version__ = "0.1.0"

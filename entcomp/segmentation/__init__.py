"""Where groups of units begin: criteria on entropies, their calibration, and baselines."""

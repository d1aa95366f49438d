"""A page to look at recordings, move thresholds, and hear the groups that come of them."""

"""TextGrids, aligners that make them, and boundary scores against them."""

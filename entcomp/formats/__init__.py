"""Files of other toolkits: units, TextGrids, CTM."""

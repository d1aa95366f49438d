"""From waveforms to units: feature extractors, the k-means codebook, and dumping units."""

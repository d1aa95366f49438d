"""Sound: decoding any format, resampling, silence, mel spectrograms."""

"""Error rates and BLEU, with their normalisers."""

"""One training loop for the LM, recognition, translation and voice conversion."""

"""The entropy LM: how uncertain the next unit is, given those before it (or after it)."""

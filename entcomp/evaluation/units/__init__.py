"""How much units say about phones and speakers, and what streams of their groups cost."""

"""How converted speech is judged."""

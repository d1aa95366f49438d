"""Tables, figures and the HTML page that show what an experiment came to."""

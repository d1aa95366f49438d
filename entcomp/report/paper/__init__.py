"""Tables 1 to 13 of the paper, each figure beside what an experiment has come to."""

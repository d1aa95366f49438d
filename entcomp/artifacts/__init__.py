"""What lies between stages: each file is opened, verified and iterated in one place."""

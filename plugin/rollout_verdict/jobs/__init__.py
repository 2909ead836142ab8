"""Analyses by id: starting one twice starts it once, and one that was begun ends, whatever dies meanwhile."""

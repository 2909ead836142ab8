"""The judge of logs: what became of every message, and what that is worth."""

"""Reduction of logs: from bytes to counted patterns."""

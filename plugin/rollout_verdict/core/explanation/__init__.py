"""The verdict in words that stand on their own, made without a model."""

"""What the model is shown and what becomes of its answer: prompt, reply and the check of its citations."""

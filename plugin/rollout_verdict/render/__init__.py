"""Results into text for people and machines. Rendering escapes everything and decides nothing."""

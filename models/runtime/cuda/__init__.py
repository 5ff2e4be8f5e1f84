"""A recurrence of our own on a CUDA card: `recurrence.cu`, compiled at start. It has not been timed on a card yet."""

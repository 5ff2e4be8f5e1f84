"""Embedding, encoder and head: the two networks."""

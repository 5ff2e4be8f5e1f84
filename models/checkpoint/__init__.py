"""A weights/ folder <-> a network."""

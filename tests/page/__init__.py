"""The inspector page in a real browser."""

"""What runs a network: the seam, and torch's replay behind it."""

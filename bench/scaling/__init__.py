"""Past one machine: what was measured on this one, and what follows by arithmetic."""

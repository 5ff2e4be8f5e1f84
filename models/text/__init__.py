"""Text -> tokens -> ids."""

"""The wire format: schemas, rendering, problems."""

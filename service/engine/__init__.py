"""Admission and batches: which requests run when, and together."""

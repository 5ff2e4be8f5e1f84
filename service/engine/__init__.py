"""Admission and batching: when each request runs, and with which others."""

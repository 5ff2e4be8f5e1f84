"""Behaviour under stress: each experiment is a function that measures; its test asks for a short form of it.

`python -m tests.stress` (`make stress`) runs the long forms, writes docs/reliability/results.json and, from it,
docs/reliability.md. What depends on the machine's speed is shown there, and never fails a test.
"""

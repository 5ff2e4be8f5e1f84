"""What is counted and timed while the service runs, and how Prometheus reads it."""

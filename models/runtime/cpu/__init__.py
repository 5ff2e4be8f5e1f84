"""The fused recurrence on the CPU."""

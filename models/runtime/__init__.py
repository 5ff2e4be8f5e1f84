"""What runs a network: the `Runner` interface, torch's kernels, and the fused kernel on the CPU."""

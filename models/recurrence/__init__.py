"""The lecture's equations, one step each, and the stack of layers and directions built from them."""

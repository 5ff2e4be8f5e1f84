"""The lecture's equations, and layers and directions made of them."""

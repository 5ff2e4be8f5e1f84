"""The servers that ours is compared with: an adapter for each, and how it is installed, started and stopped."""

"""Who stands beside us: an adapter for each peer, and how each is installed, started and stopped."""

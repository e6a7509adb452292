"""P2: the peer port, and the lines to others'."""

"""P8: the last hop, into a terminal on this machine."""

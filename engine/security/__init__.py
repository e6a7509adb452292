"""Trust: who a node is, who is in the fleet, and that a frame is what its sender sealed."""

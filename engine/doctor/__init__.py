"""What is wrong with this machine and this node, why, and the command that mends it."""

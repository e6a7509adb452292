"""What a node does to its own machine when its steps ask for it."""

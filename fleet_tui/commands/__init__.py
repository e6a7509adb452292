"""The commands, a file a family: each is a function that asks the node, shows the answer and returns the status."""

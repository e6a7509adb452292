"""What this node knows of itself."""

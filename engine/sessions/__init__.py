"""The AI sessions of this machine: how mail gets into them."""

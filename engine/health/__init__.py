"""How well each (peer, channel) pair is, and in which order to try them."""

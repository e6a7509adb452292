"""How well each (peer, channel) pair is, in which order to try them, and what is done about one that broke."""

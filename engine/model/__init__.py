"""The nouns of Fleet. Read these first; they know nobody."""

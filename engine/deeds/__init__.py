"""What a node does when its steps ask for it: mend itself, start a peer's node, tell whoever sits here."""

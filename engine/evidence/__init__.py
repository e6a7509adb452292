"""What can be proved afterwards: the ledger's chain, and what was refused at the door. The store keeps the rows, this
room knows what they must say."""

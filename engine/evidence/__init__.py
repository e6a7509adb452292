"""What can be proved afterwards: the ledger's chain. The store keeps the rows, this room knows what they must say."""

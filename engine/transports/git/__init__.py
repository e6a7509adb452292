"""P7: a ref for each receiver and sender in a hub."""

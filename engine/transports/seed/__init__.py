"""P4: files in a peer's seed folder, and what lies in ours."""

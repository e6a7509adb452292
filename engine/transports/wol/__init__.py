"""P6: magic packets."""

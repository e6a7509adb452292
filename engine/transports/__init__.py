"""The ways to another machine, one file each; `catalogue` lists them."""

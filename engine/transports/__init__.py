"""The ways to another machine, a file or a folder each; `catalogue` lists them."""

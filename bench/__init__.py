"""Speed and size, measured: every figure in `docs/speed.md` is one of these programs."""

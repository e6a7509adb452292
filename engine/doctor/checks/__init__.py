"""The checks: each looks at one real thing, and judges what it saw by a pure function beside it."""

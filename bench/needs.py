"""What a benchmark needs of the machine, asked before it begins (edge)."""

import os
import shutil


class Missing(Exception):
    """Something is not here; the text says what."""


def program(name: str) -> str:
    """The path of a program. Raises `Missing`."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"needs {name}")
    return found


def is_root() -> bool:
    """Whether network rules may be set here."""
    return os.geteuid() == 0

"""A file that a person named, opened only where it is a plain one (edge).

A pipe in its place keeps whoever reads it for ever: the loop, or one thread after another until none is left.
"""

import errno
import os
import stat
from typing import BinaryIO


def opened(name: str | os.PathLike[str]) -> BinaryIO:
    """To be read; `~` is a home. Raises `OSError`, also for what is no plain file."""
    handle = os.open(os.path.expanduser(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        return os.fdopen(handle, "rb")
    except OSError:
        os.close(handle)
        raise

"""Where a node's log goes: `<home>/log/node.log`, on a descriptor of its own (edge).

Descriptors 1 and 2 of a node in the background are /dev/null, and Textual takes `sys.stdout` and `sys.stderr` while an
app runs; a log that went through either would be lost or painted over the screen. What the interpreter itself has to
say when it dies goes to `fault.log`; SIGUSR1 writes every thread's stack there while the node goes on.
"""

import faulthandler
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from engine.security.redact import scrub
from fleet_tui.crash import log_dir

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
LOG_BYTES = 5_000_000  # a few weeks of a quiet node; with KEPT older ones at most 20 MB
KEPT = 3


@contextmanager
def journal(home: Path, *, also_stderr: bool) -> Iterator[IO[Any]]:
    """Log to `home` inside the `with`, and to stderr if a service manager reads it. Yields the file for stack dumps."""
    folder = log_dir(home)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(folder / "node.log", maxBytes=LOG_BYTES, backupCount=KEPT)
    ]
    if also_stderr:
        handlers.append(logging.StreamHandler(os.fdopen(os.dup(2), "w", errors="replace")))
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT))
        handler.addFilter(scrub)
        root.addHandler(handler)
    logging.raiseExceptions = False  # a full disk must not write into a screen
    with open(folder / "fault.log", "a", encoding="utf-8") as faults:
        faulthandler.enable(faults)
        faulthandler.register(signal.SIGUSR1, faults)
        try:
            yield faults
        finally:
            faulthandler.unregister(signal.SIGUSR1)
            faulthandler.enable(sys.__stderr__ or 2)
            for handler in handlers:
                root.removeHandler(handler)
                handler.close()

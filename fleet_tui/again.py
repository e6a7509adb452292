"""Being the same node again, in the same process (edge).

    python -m fleet_tui.again HOME background|foreground

A node that is to restart ends in order, and its process then becomes this: same pid, same environment, same descriptors
for its output, so that whoever supervises it (systemd, launchd, a container, nobody) sees no end. A terminal that was
lent to it has been given back by then, as at any stop; `fleet` opens the control room again.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

BACKGROUND, FOREGROUND = "background", "foreground"


def become(home: Path, foreground: bool) -> NoReturn:
    """Replace this process, whose engine has ended, by the next one. Never returns."""
    sys.stdout.flush()
    sys.stderr.flush()
    how = FOREGROUND if foreground else BACKGROUND
    os.execv(sys.executable, [sys.executable, "-m", "fleet_tui.again", str(home), how])


def main(argv: list[str]) -> int:
    """Be the node; returns the exit status."""
    from fleet_tui.cli import complain
    from fleet_tui.crash import save_crash

    home, how = Path(argv[0]), argv[1]
    try:
        from engine.errors import FleetError
        from fleet_tui import parts

        try:
            return parts.in_foreground(home) if how == FOREGROUND else parts.in_background(home, lambda: None)
        except FleetError as error:
            return complain(error, as_json=False)
    except Exception as error:  # noqa: BLE001 - the last frame of this process: whatever it was is saved
        save_crash(home, error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

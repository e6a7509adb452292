"""`python -m fleet_tui`, which is `fleet`."""

import sys


def main() -> int:
    """The program; returns the exit status."""
    if len(sys.argv) == 1 and sys.stdin.isatty() and sys.stdout.isatty():
        # Nothing to parse: the stub starts in half the time of the command line.
        from fleet_tui.commands.room import attach
        from fleet_tui.place import home_of

        return attach(home_of())
    from fleet_tui.cli import main as command

    return command()


if __name__ == "__main__":
    sys.exit(main())

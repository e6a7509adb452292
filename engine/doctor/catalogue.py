"""Every check, in one literal table: to add one is a file and a line (edge: it names what looks at the machine)."""

from engine.doctor.check import Check
from engine.doctor.checks import (
    agents,
    broker,
    clock,
    daemon,
    disk,
    hub,
    keys,
    ports,
    reach,
    settings,
    sleep,
    sshd,
    store,
    terminal,
    tools,
    vital,
)

CATALOGUE: tuple[Check, ...] = (
    daemon.CHECK,
    disk.CHECK,
    settings.CHECK,
    keys.CHECK,
    store.CHECK,
    broker.CHECK,
    ports.CHECK,
    reach.CHECK,
    sshd.CHECK,
    hub.CHECK,
    clock.CHECK,
    vital.LOOP,
    vital.FDS,
    tools.CHECK,
    agents.CHECK,
    terminal.CHECK,
    sleep.CHECK,
)
# What only the caller's own process can tell: the version of the program, and the terminal it has.
OF_THE_CALLER = ("daemon", "terminal")

"""The machines of the tailnet (edge): what `tailscale status --json` says, where that program is installed.

It is asked and never installed, started or signed in. Two seconds; then it has said nothing.
"""

import asyncio
import shutil
from contextlib import suppress

import msgspec

from engine.membership.discovery import TAILSCALE, Sighting

DEADLINE_S = 2.0
# A tailnet of a thousand machines is a megabyte.
OUTPUT_LIMIT = 8 << 20
# On a Mac the program is inside its app.
PROGRAMS = ("tailscale", "/Applications/Tailscale.app/Contents/MacOS/Tailscale")


class _Machine(msgspec.Struct, frozen=True, rename="pascal"):
    """One of `Peer`."""

    host_name: str = ""
    DNSName: str = msgspec.field(name="DNSName", default="")
    os: str = msgspec.field(name="OS", default="")
    ips: tuple[str, ...] | None = msgspec.field(name="TailscaleIPs", default=None)
    online: bool = False


class _Status(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of the status that is read."""

    backend_state: str = ""
    peer: dict[str, _Machine] | None = None


async def sightings() -> list[Sighting]:
    """Every other machine of the tailnet; none without the program, or where it is signed out or silent."""
    program = next((found for one in PROGRAMS if (found := shutil.which(one))), None)
    return read(await _said(program)) if program else []


def read(said: bytes) -> list[Sighting]:
    """The machines in the program's answer."""
    try:
        status = msgspec.json.decode(said, type=_Status)
    except msgspec.DecodeError:
        return []
    return [_sighting(one) for one in (status.peer or {}).values()] if status.backend_state == "Running" else []


def _sighting(one: _Machine) -> Sighting:
    name, ips = one.DNSName.rstrip("."), one.ips or ()
    label = name.partition(".")[0] or one.host_name
    note = ", ".join(part for part in (one.os, "" if one.online else "offline") if part)
    return Sighting(label, name or next(iter(ips), ""), TAILSCALE, note, hosts=ips)


async def _said(program: str) -> bytes:
    try:
        process = await asyncio.create_subprocess_exec(
            *(program, "status", "--json"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError:
        return b""
    said = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(DEADLINE_S):
            assert process.stdout is not None
            while len(said) < OUTPUT_LIMIT and (more := await process.stdout.read(OUTPUT_LIMIT - len(said))):
                said += more
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()
    return said

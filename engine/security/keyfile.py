"""The seed on disk (edge): made on first start, read ever after, never overwritten.

    FLEET HOME (0700)
      device.key (0600)   one line: `fleet-device-key-1 <seed> <checksum>`, both base32
      tls.crt, tls.key    derived from the seed for programs that want files; written anew when they differ

Whoever reads the seed is this node, so looser modes refuse to start and say the `chmod`. A key that cannot be read, or
is gone from a home that has a store, is an error and never a reason to make another: a new key is a new node that no
fleet knows, and least of all the one in that store. The file appears whole or not
at all: written aside, fsynced, then linked to its name, which fails where another process was faster; then that one's
key is taken.
"""

import contextlib
import os
import shlex
import stat
from base64 import b32decode
from binascii import Error
from hashlib import sha256
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.home import KEY, STORE, TLS_CERT, TLS_KEY, draft, sync_folder, write_private
from engine.security.identity import SEED_SIZE, Identity, base32

_FORM = "fleet-device-key-1"
_SIZE_LIMIT = 4_096


def load(home: Path, key_file: Path | None = None) -> bytes:
    """The 32-byte seed of the node whose data is in `home`, made on first start.

    `key_file` (`FLEET_KEY_FILE`) names a key that lives elsewhere and is only ever read. Raises `FleetError`
    `node.home`, `node.key_mode`, `node.key`.
    """
    _prepare(home)
    if key_file is None and _is_fresh(home):
        _create(home / KEY, os.urandom(SEED_SIZE))
    return _read(home, key_file)


def check(home: Path, key_file: Path | None = None) -> None:
    """Whether `load` would have a key; nothing is made. Raises what it would raise."""
    if home.exists():
        _check_private(home, home.stat(), "700")
    if key_file is not None or not _is_fresh(home):
        _read(home, key_file)


def foreign(home: Path, key_file: Path | None) -> FleetError:
    """What is to be said of a key that can be read where the store in `home` is another node's."""
    why = f"the fleet in {home / STORE} has no member with this key"
    return _unfit("The device key is another node's", home, key_file, why)


def write_tls(home: Path, identity: Identity) -> tuple[Path, Path]:
    """Paths of certificate and private key, both 0600 PEM in `home`, as the peer port and nats-server take them."""
    pair = ((home / TLS_CERT, identity.tls_cert_pem), (home / TLS_KEY, identity.tls_key_pem))
    for path, pem in pair:
        _replace(path, pem)
    return pair[0][0], pair[1][0]


def _prepare(home: Path) -> None:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = home.stat()
    except OSError as error:
        raise _no_home(home, error) from None
    _check_private(home, mode, "700")


def _check_private(path: Path, found: os.stat_result, wanted: str) -> None:
    if found.st_uid != os.geteuid():
        raise FleetError(
            "node.key_mode",
            "The key belongs to another user",
            f"{path} is owned by uid {found.st_uid}, this is uid {os.geteuid()}",
            f"run as that user, or `chown -R {os.geteuid()} {path}`, or set FLEET_HOME to another directory",
            Fault.WORLD,
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise FleetError(
            "node.key_mode",
            "Others can read the key",
            f"{path} has mode {stat.S_IMODE(found.st_mode):04o}; it must be {wanted}",
            f"chmod {wanted} {path}",
            Fault.WORLD,
        )


def _create(path: Path, seed: bytes) -> None:
    line = f"{_FORM} {base32(seed)} {_checksum(seed)}\n".encode()
    try:
        fresh = draft(path, line)
        try:
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink()
        sync_folder(path.parent)
    except OSError as error:
        raise _no_home(path.parent, error) from None


def _replace(path: Path, data: bytes) -> None:
    try:
        write_private(path, data)
    except OSError as error:
        raise _no_home(path.parent, error) from None


def _is_fresh(home: Path) -> bool:
    """Whether no node has lived there. The store is looked for first: whoever starts beside us makes the key first."""
    return not os.path.lexists(home / STORE) and not os.path.lexists(home / KEY)


def _read(home: Path, key_file: Path | None) -> bytes:
    path = key_file or home / KEY
    try:
        # Not blocking: a pipe in the key's place must be an error, not a node that never starts.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise ValueError("it is not a file")
            _check_private(path, found, "600")
            return _parsed(file.read(_SIZE_LIMIT))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise _unfit("The device key cannot be read", home, key_file, why) from None


def _parsed(data: bytes) -> bytes:
    words = data.decode("ascii", "replace").split()
    if not words or words[0] != _FORM:
        raise ValueError("it is empty" if not words else "it is not a key of this version of Fleet")
    try:
        seed = b32decode(words[1].upper() + "=" * (-len(words[1]) % 8))
    except (IndexError, Error, ValueError):
        raise ValueError("it was cut short or changed") from None
    if len(seed) != SEED_SIZE or words[1:] != [base32(seed), _checksum(seed)]:
        raise ValueError("it was cut short or changed")
    return seed


def _checksum(seed: bytes) -> str:
    return base32(sha256(f"{_FORM} ".encode() + seed).digest()[:5])


def _unfit(title: str, home: Path, key_file: Path | None, why: str) -> FleetError:
    aside = f"`mv {shlex.quote(str(home))} {shlex.quote(f'{home}.aside')}`"
    start = "start it without FLEET_KEY_FILE" if key_file else "start it"
    back = "put this node's own key back from a backup, or name it in FLEET_KEY_FILE"
    step = f"{back}; to become a new node instead, {aside}, {start}, and `fleet join` with a new invite"
    return FleetError("node.key", title, f"{key_file or home / KEY}: {why}", step, Fault.WORLD)


def _no_home(home: Path, error: OSError) -> FleetError:
    return FleetError(
        "node.home",
        "The data directory cannot be used",
        f"{home}: {error.strerror or error}",
        f"make it writable (`chmod 700 {home}`, free space), or set FLEET_HOME to a directory that is",
        Fault.WORLD,
    )

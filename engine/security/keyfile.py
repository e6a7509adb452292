"""The seed on disk (edge): made on first start, read ever after, never overwritten.

    FLEET HOME (0700)
      device.key (0600)   one line: `fleet-device-key-1 <seed> <checksum>`, both base32
      tls.crt, tls.key    derived from the seed for programs that want files; written anew when they differ

Whoever reads the seed is this node, so looser modes refuse to start and say the `chmod`. A key that cannot be read is
an error and never a reason to make another: a new key is a new node that no fleet knows. The file appears whole or not
at all: written aside, fsynced, then linked to its name, which fails where another process was faster; then that one's
key is taken.
"""

import contextlib
import os
import stat
from base64 import b32decode
from binascii import Error
from hashlib import sha256
from pathlib import Path

from engine.errors import Fault, FleetError
from engine.home import KEY, TLS_CERT, TLS_KEY, draft, sync_folder, write_private
from engine.security.identity import SEED_SIZE, Identity, base32

_FORM = "fleet-device-key-1"
_SIZE_LIMIT = 4_096


def load(home: Path, key_file: Path | None = None) -> bytes:
    """The 32-byte seed of the node whose data is in `home`, made on first start.

    `key_file` (`FLEET_KEY_FILE`) names a key that lives elsewhere and is only ever read. Raises `FleetError`
    `node.home`, `node.key_mode`, `node.key`.
    """
    _prepare(home)
    if key_file is not None:
        return _read(key_file)
    path = home / KEY
    if not os.path.lexists(path):
        _create(path, os.urandom(SEED_SIZE))
    return _read(path)


def check(home: Path, key_file: Path | None = None) -> None:
    """Whether `load` would have a key; nothing is made. Raises what it would raise."""
    path = home / KEY if key_file is None else key_file
    if home.exists():
        _check_private(home, home.stat(), "700")
    if key_file is not None or os.path.lexists(path):
        _read(path)


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


def _read(path: Path) -> bytes:
    try:
        # Not blocking: a pipe in the key's place must be an error, not a node that never starts.
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(handle, "rb") as file:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode):
                raise _damaged(path, "it is not a file")
            _check_private(path, found, "600")
            return _parsed(path, file.read(_SIZE_LIMIT))
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None


def _parsed(path: Path, data: bytes) -> bytes:
    words = data.decode("ascii", "replace").split()
    if not words or words[0] != _FORM:
        raise _damaged(path, "it is empty" if not words else "it is not a key of this version of Fleet")
    try:
        seed = b32decode(words[1].upper() + "=" * (-len(words[1]) % 8))
    except (IndexError, Error, ValueError):
        raise _damaged(path, "it was cut short or changed") from None
    if len(seed) != SEED_SIZE or words[1:] != [base32(seed), _checksum(seed)]:
        raise _damaged(path, "it was cut short or changed")
    return seed


def _checksum(seed: bytes) -> str:
    return base32(sha256(f"{_FORM} ".encode() + seed).digest()[:5])


def _damaged(path: Path, why: str) -> FleetError:
    return FleetError(
        "node.key",
        "The device key cannot be read",
        f"{path}: {why}",
        f"restore {path.name} from a backup; to become a new node instead, move it away and join the fleet again",
        Fault.WORLD,
    )


def _no_home(home: Path, error: OSError) -> FleetError:
    return FleetError(
        "node.home",
        "The data directory cannot be used",
        f"{home}: {error.strerror or error}",
        f"make it writable (`chmod 700 {home}`, free space), or set FLEET_HOME to a directory that is",
        Fault.WORLD,
    )

"""P0: pull a trigger somewhere on the web, with the sealed frames in its hand (edge).

    deliver --POST, signed--> LANDED   2xx; or 409: it had this delivery already
                              REFUSED  another 4xx, or a redirect, which nobody follows (hard)
                              LOST     429 or 5xx: it says when to come again, and is left alone until then; no answer
                              BARRED   no trigger configured, no secret, too large

Signed as Standard Webhooks has it (standardwebhooks.com): `webhook-id` names the content, so that one delivery sent
twice is seen to be one, and the secret proves who sent it. The frames are sealed for the peer: whoever runs the
endpoint reads who writes to whom, and nothing else. What it does with them is its own affair, so the best ending is
LANDED. Neither the secret nor the address, which may hold one, is ever told.
"""

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import ssl
import time
from binascii import Error as NotBase64
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from engine.config import CloudConfig
from engine.model.channel import Channel, Outcome, Verdict
from engine.model.envelope import CARRIAGE_LIMIT
from engine.security.plainfile import opened
from engine.transports.base import Arrivals, Target

if TYPE_CHECKING:
    import httpx

# Tries of one delivery, and the rest between them; more is the outbox's affair.
TRIES, AGAIN_S = 2, 0.5
# However long an endpoint wants to be left alone, it is asked again after this.
LONGEST_REST_S = 3_600.0
# Standard Webhooks: a secret has 24 to 64 bytes.
SECRET_SIZES = range(24, 65)

_SECRET = b"whsec_"
# More than the longest secret takes.
_FILE_LIMIT = 1_024
CLOSED = Outcome(Verdict.BARRED, "closed", hard=True)


class Cloud:
    """Channel P0. Nothing is connected, and no library loaded, before there is something to send."""

    channel = Channel.CLOUD

    def __init__(self, me: str, config: CloudConfig):
        self._me, self._config = me, config
        self._client: httpx.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._under_way: set[asyncio.Timeout] = set()
        self._rests_until = 0.0
        self._closed = False

    def ready(self, target: Target) -> str | None:
        """Why not: no trigger, or none that may be used."""
        # On the loop: only where a trigger is configured, a plain file of 1 KiB at most, nine microseconds. A memory of
        # it would have to look at the file as well.
        return flaw(self._config.url) or _signing(self._config.secret_file)[1] or None

    async def listen(self, arrived: Arrivals) -> None:
        """Nothing: what an endpoint hands on arrives on the channel that it uses for that."""
        self._closed = False

    async def deliver(self, data: bytes, target: Target, budget_s: float) -> Outcome:
        """POST it; see the module for what each ending means."""
        reason = flaw(self._config.url)
        if reason or self._closed:
            return Outcome(Verdict.BARRED, reason, hard=True) if reason else CLOSED
        if len(data) > CARRIAGE_LIMIT:
            return Outcome(Verdict.BARRED, f"larger than {CARRIAGE_LIMIT >> 20} MiB", hard=True)
        rest_s = self._rests_until - asyncio.get_running_loop().time()
        if rest_s > 0:
            return Outcome(Verdict.LOST, f"it wants to be left alone for {rest_s:.0f} s", hard=True)
        limit = asyncio.timeout(budget_s)
        try:
            async with limit:
                self._under_way.add(limit)
                return await self._sent(data, target.id)
        except TimeoutError:
            return CLOSED if self._closed else Outcome(Verdict.LOST, f"no answer in {budget_s:.3g} s")
        finally:
            self._under_way.discard(limit)

    async def close(self) -> None:
        """Break off what is under way, and hang up."""
        self._closed = True
        while self._under_way:
            self._under_way.pop().reschedule(asyncio.get_running_loop().time())
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    # -------------------------------------------------------------------------------------------------------- sending

    async def _sent(self, data: bytes, to: str) -> Outcome:
        try:
            client = await self._opened()
        except (OSError, ssl.SSLError):
            return Outcome(Verdict.BARRED, "cloud.ca_file cannot be read", hard=True)
        name, body = content(self._me, to, data)
        for _ in range(TRIES - 1):
            outcome = await self._post(client, name, body)
            if outcome.verdict is not Verdict.LOST or outcome.hard:
                return outcome
            await asyncio.sleep(AGAIN_S)
        return await self._post(client, name, body)

    async def _opened(self) -> "httpx.AsyncClient":
        """Loading the library and the certificates takes a tenth of a second, which the loop does not wait for."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(_open, self._config.ca_file)
            return self._client

    async def _post(self, client: "httpx.AsyncClient", name: str, body: bytes) -> Outcome:
        import httpx

        key, unfit = await asyncio.to_thread(_signing, self._config.secret_file)
        if unfit:
            return Outcome(Verdict.BARRED, unfit, hard=True)
        headers = {"content-type": "application/json", **signature(key, name, int(time.time()), body)}
        try:
            async with client.stream("POST", self._config.url, content=body, headers=headers) as answer:
                return self._read(answer.status_code, answer.headers)
        except httpx.ConnectError as error:
            return Outcome(Verdict.LOST, _why(error), hard=True)
        except (httpx.HTTPError, OSError):
            return Outcome(Verdict.LOST, "the connection dropped")

    def _read(self, status: int, headers: Mapping[str, str]) -> Outcome:
        if status // 100 == 2 or status == HTTPStatus.CONFLICT:
            return Outcome(Verdict.LANDED, "it had it already" if status == HTTPStatus.CONFLICT else "")
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            rest_s = after_s(headers.get("retry-after", ""), time.time())
            self._rests_until = asyncio.get_running_loop().time() + rest_s
            return Outcome(Verdict.LOST, f"it said {status}", hard=rest_s > 0)
        return Outcome(Verdict.REFUSED, f"it said {status}", hard=True)


def _open(ca_file: str) -> "httpx.AsyncClient":
    """Raises `OSError` where the certificates cannot be read."""
    import httpx

    # They tell every address they ask, and an address may be all that keeps a stranger out.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    trusted = ssl.create_default_context()
    if ca_file:
        opened(ca_file).close()
        trusted.load_verify_locations(os.path.expanduser(ca_file))
    return httpx.AsyncClient(verify=trusted, timeout=None, follow_redirects=False, headers={"user-agent": "fleet"})


def _why(error: BaseException | None) -> str:
    """What went wrong beneath, and no address."""
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return "its certificate is not trusted"
        error = error.__cause__ or error.__context__
    return "its host cannot be reached"


# -------------------------------------------------------------------------------------------------- what is said


def content(frm: str, to: str, data: bytes) -> tuple[str, bytes]:
    """The name of a delivery, the same whenever it is sent, and what is posted."""
    body = {"to": to, "from": frm, "frames": base64.b64encode(data).decode()}
    said = json.dumps(body, separators=(",", ":")).encode()
    return "msg_" + hashlib.sha256(said).hexdigest()[:32], said


def signature(key: bytes, name: str, now_s: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks."""
    signed = hmac.new(key, f"{name}.{now_s}.".encode() + body, hashlib.sha256).digest()
    proof = base64.b64encode(signed).decode()
    return {"webhook-id": name, "webhook-timestamp": str(now_s), "webhook-signature": f"v1,{proof}"}


def after_s(said: str, now_s: float) -> float:
    """Seconds that `Retry-After` asks for (RFC 9110, section 10.2.3: a number or a date); 0 without one."""
    try:
        wanted = float(said) if said.strip().isdigit() else parsedate_to_datetime(said).timestamp() - now_s
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(max(wanted, 0.0), LONGEST_REST_S)


def flaw(url: str) -> str:
    """Why this cannot be the trigger, in six words or fewer; empty when it can."""
    if not url:
        return "no trigger configured"
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return "the trigger's address is none"
    if not host or parts.scheme not in ("https", "http"):
        return "the trigger's address is none"
    return "" if parts.scheme == "https" or _is_loopback(host) else "the trigger is not https"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _signing(secret_file: str) -> tuple[bytes, str]:
    """The key to sign with, or why there is none. Read each time: a person may replace it while the node runs."""
    if not secret_file:
        return b"", "no secret configured"
    try:
        with opened(secret_file) as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                return b"", "its secret is open to others"
            text = file.read(_FILE_LIMIT)
        key = base64.b64decode(text.strip().removeprefix(_SECRET), validate=True)
    except (NotBase64, ValueError):
        return b"", "its secret is no webhook secret"
    except OSError:
        return b"", "its secret cannot be read"
    return (key, "") if len(key) in SECRET_SIZES else (b"", "its secret is no webhook secret")

"""An HTTPS endpoint as somebody on the web might run one: it checks the signature, and hands the frames on."""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"
SECRET = b"thirty-two bytes that nobody saw"


class Authority:
    """A certificate authority of a test's own, in a folder that goes with it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fl", dir="/tmp")
        self.folder = Path(self._folder.name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.file = self.folder / "ca.pem"
        own = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file.write_bytes(own.public_bytes(serialization.Encoding.PEM))
        self.secret_file = self.folder / "secret"
        self.secret_file.write_text(f"whsec_{base64.b64encode(SECRET).decode()}\n")
        self.secret_file.chmod(0o600)

    def context(self, host: str = LOOPBACK) -> ssl.SSLContext:
        """A server's, with a certificate for this address."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        certificate = self._signed(name, key, x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]))
        file = self.folder / f"{host}.pem"
        pem = serialization.Encoding.PEM
        plain = serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem)
        )
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(file)
        return made

    def end(self) -> None:
        """Nothing is left."""
        self._folder.cleanup()

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, more: x509.ExtensionType) -> x509.Certificate:
        now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day)
            .not_valid_after(now + day)
            .add_extension(more, critical=isinstance(more, x509.BasicConstraints))
        )
        return made.sign(self._key, hashes.SHA256())


class Trigger:
    """The endpoint. `says`: the status of the next answers, `headers` theirs; `held`: no answer is given while it is
    cleared. What was taken goes to `onward`, again until that says yes. `came`: (headers, body) of every request."""

    def __init__(self, context: ssl.SSLContext | None, onward: Callable[[bytes], Awaitable[bool]] | None = None):
        self._context, self._onward = context, onward
        self.says, self.headers = 200, {}
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.came: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()
        self.tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> str:
        """Its address."""
        self._server = await asyncio.start_server(self._accept, LOOPBACK, port, ssl=self._context)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return f"http{'s' if self._context else ''}://{LOOPBACK}:{self.port}/hooks/fleet?token=not-for-logs"

    async def stop(self) -> None:
        """Gone, with all it had under way."""
        self._server.close()
        for task in tuple(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Known as ours from its first moment, and not only once it runs."""
        self._hold(self._serve(reader, writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await self._one(reader, writer)
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        headers, body = {}, b""
        while not isinstance(event := http.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            elif event is h11.NEED_DATA:
                http.receive_data(await reader.read(1 << 20))
            else:
                return
        self.came.put_nowait((headers, body))
        await self.let_go.wait()
        status = self.says if genuine(headers, body) else 401
        if status == 200 and self._onward is not None:
            self._hold(self._hand_on(base64.b64decode(json.loads(body)["frames"])))
        answer = h11.Response(status_code=status, headers=[*self.headers.items(), ("connection", "close")])
        writer.write((http.send(answer) or b"") + (http.send(h11.EndOfMessage()) or b""))
        await writer.drain()

    def _hold(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _hand_on(self, frames: bytes) -> None:
        assert self._onward is not None
        while not await self._onward(frames):
            await asyncio.sleep(0.02)


def genuine(headers: dict[str, str], body: bytes) -> bool:
    """Whether whoever sent this knows the secret, as Standard Webhooks says it is proved."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    proof = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    return headers["webhook-signature"] == f"v1,{proof}"

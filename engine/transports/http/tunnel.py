"""TLS over bytes: cipher text in, plain text out, and nobody waits (edge).

asyncio's own TLS sets 256 KiB aside for every connection, before the first byte has come; a thousand strangers would
cost a node 256 MB, and a fleet of a hundred idle peers 25. Here a connection that has said nothing costs nothing, and
an open one what OpenSSL needs.

Both ends speak TLS 1.3. A peer is known by its certificate, byte for byte, and by nothing else: not by a name, because
addresses change; not by a date, because clocks are wrong; not by a chain, because nobody else's signature matters. The
handshake proves that the peer holds that certificate's key.
"""

import ssl
from pathlib import Path

# The largest record of TLS.
_SLICE = 16_384


class Tunnel:
    """One end of a TLS connection. `open`: the handshake is done. `ended`: the other end said goodbye."""

    __slots__ = ("_incoming", "_outgoing", "_tls", "ended", "open")

    def __init__(self, context: ssl.SSLContext, server_side: bool):
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=server_side)
        self.open = self.ended = False

    def feed(self, cipher: bytes) -> bytes:
        """Take bytes from the wire (none: begin), and give the plain text that became readable. There may be bytes to
        send afterwards. Raises `ssl.SSLError` for anything that is not TLS 1.3."""
        # In slices, because a memory BIO never gives back what it once held.
        slices = range(0, len(cipher), _SLICE) or (0,)
        return b"".join([self._step(cipher[start : start + _SLICE]) for start in slices])

    def write(self, plain: bytes) -> None:
        """Encrypt bytes for the other end; `outgoing` has them."""
        self._tls.write(plain)

    def outgoing(self) -> bytes:
        """What is to be put on the wire now."""
        return self._outgoing.read()

    def certificate(self) -> bytes:
        """The other end's certificate, DER; empty while there is none."""
        return self._tls.getpeercert(binary_form=True) or b""

    def _step(self, cipher: bytes) -> bytes:
        self._incoming.write(cipher)
        try:
            if not self.open:
                self._tls.do_handshake()
                self.open = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""

    def _read(self) -> bytes:
        parts: list[bytes] = []
        try:
            while chunk := self._tls.read(_SLICE):
                parts.append(chunk)
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        return b"".join(parts)


def answering(cert: Path, key: Path) -> ssl.SSLContext:
    """The context of an end that answers, showing this node's own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # A ticket would let a later connection skip the proof of the key; connections are kept instead.
    context.num_tickets = 0
    context.load_cert_chain(cert, key)
    return context


def asking() -> ssl.SSLContext:
    """The context of an end that asks. It accepts any certificate: whoever uses it must compare `certificate` with the
    pin before the first byte is written."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context

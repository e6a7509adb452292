"""Who a node is: one 32-byte seed, and every key that follows from it.

    seed ── HKDF-SHA256 ──┬── device   Ed25519   signs the bundle, once, and nothing else
                          ├── sealing  X25519    pairwise keys of frames
                          ├── signing  Ed25519   rosters and vouchers
                          ├── nkey     Ed25519   the broker's login
                          └── tls      Ed25519   a self-signed certificate that peers pin

The device key signs one thing only, because a key that also signs what others choose (a broker's nonce, a TLS
transcript) could be led to sign a bundle it never meant. The node's id is the start of the hash of its public device
key, so an id cannot be taken over; people see a name instead. Everything here is a function of the seed: the same seed
gives the same bundle, bit for bit, and nothing but the seed has to be stored.
"""

import base64
import hashlib
from datetime import UTC, datetime

import msgspec
import nkeys
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.errors import Fault, FleetError
from engine.model.roster import Bundle

SEED_SIZE = 32
ID_SIZE = 10  # 80 bits: 16 characters of base32 without padding
_BUNDLE = b"fleet bundle 1\0"
_CERT_LIMIT = 2_048
# RFC 5280, 4.1.2.5: this end means "none". A clock that is wrong by years must not turn a pinned key away.
_BEGIN, _END = datetime(2000, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)

_canonical = msgspec.msgpack.Encoder(order="deterministic").encode


class Identity:
    """This node's keys, all from its seed. `nkey_seed` and `tls_key_pem` are secret; `bundle` is what others see."""

    __slots__ = ("_signing", "bundle", "id", "nkey_seed", "sealing", "tls_cert_pem", "tls_key_pem")

    def __init__(self, seed: bytes):
        device = Ed25519PrivateKey.from_private_bytes(derive(seed, "device"))
        tls = Ed25519PrivateKey.from_private_bytes(derive(seed, "tls"))
        self._signing = Ed25519PrivateKey.from_private_bytes(derive(seed, "signing"))
        self.sealing = X25519PrivateKey.from_private_bytes(derive(seed, "sealing"))
        self.nkey_seed: bytes = nkeys.encode_seed(derive(seed, "nkey"), nkeys.PREFIX_BYTE_USER)
        self.id = node_id(device.public_key().public_bytes_raw())
        cert = _certificate(self.id, tls)
        self.tls_cert_pem = cert.public_bytes(Encoding.PEM)
        self.tls_key_pem = tls.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        unsigned = Bundle(
            device=device.public_key().public_bytes_raw(),
            sealing=self.sealing.public_key().public_bytes_raw(),
            signing=self._signing.public_key().public_bytes_raw(),
            nkey=nkeys.from_seed(self.nkey_seed).public_key.decode(),
            tls_cert=cert.public_bytes(Encoding.DER),
        )
        self.bundle = msgspec.structs.replace(unsigned, signature=device.sign(_bundle_bytes(unsigned)))

    def sign(self, context: bytes, data: bytes) -> bytes:
        """An Ed25519 signature of the signing sub-key. `context` keeps one purpose's signature from serving another."""
        return self._signing.sign(context + b"\0" + data)

    def __repr__(self) -> str:
        return f"Identity({self.id})"


def derive(seed: bytes, purpose: str) -> bytes:
    """The 32 secret bytes for one purpose (HKDF-SHA256, RFC 5869), independent of those for any other."""
    if len(seed) != SEED_SIZE:
        raise FleetError("trust.seed", "The device seed is damaged", f"{len(seed)} bytes instead of {SEED_SIZE}")
    return HKDF(hashes.SHA256(), SEED_SIZE, None, f"fleet 1 {purpose}".encode()).derive(seed)


def node_id(device: bytes) -> str:
    """The id of the node with this public device key: 16 characters of lowercase base32."""
    return base32(hashlib.sha256(device).digest()[:ID_SIZE])


def base32(data: bytes) -> str:
    """RFC 4648 base32 in lowercase and without padding: it survives speech, host names and file systems."""
    return base64.b32encode(data).decode().rstrip("=").lower()


def fingerprint(bundle: Bundle) -> str:
    """The device key's hash as people compare it, in the form of ssh-keygen."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(bundle.device).digest()).decode().rstrip("=")


def tls_pin(cert: bytes) -> bytes:
    """SHA-256 of the public key (SPKI) in a DER certificate. Raises `FleetError` `trust.certificate`."""
    try:
        key = x509.load_der_x509_certificate(cert).public_key()
    except ValueError as error:
        raise FleetError("trust.certificate", "The certificate cannot be read", str(error)) from None
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def verify_bundle(bundle: Bundle) -> str:
    """The node id of a bundle whose parts are bound by its device key. Raises `FleetError` `trust.bundle`."""
    sizes = [len(key) for key in (bundle.device, bundle.sealing, bundle.signing)]
    if sizes != [32, 32, 32] or len(bundle.nkey) != 56 or len(bundle.tls_cert) > _CERT_LIMIT:
        raise _bad_bundle("its keys have impossible sizes")
    if not _signed(bundle.device, bundle.signature, _bundle_bytes(bundle)):
        raise _bad_bundle("the device key did not sign it")
    return node_id(bundle.device)


def verify_signature(bundle: Bundle, context: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the owner of `bundle` signed `data` for this purpose (`Identity.sign`)."""
    return signed_by(bundle.signing, context, data, signature)


def signed_by(signing: bytes, context: bytes, data: bytes, signature: bytes) -> bool:
    """Whether the owner of this public signing key signed `data` for this purpose."""
    return _signed(signing, signature, context + b"\0" + data)


def _signed(public: bytes, signature: bytes, data: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True


def _bundle_bytes(bundle: Bundle) -> bytes:
    return _BUNDLE + _canonical(msgspec.structs.replace(bundle, signature=b""))


def _bad_bundle(why: str) -> FleetError:
    return FleetError(
        "trust.bundle",
        "A key bundle does not hold",
        why,
        "do not use it; ask its owner to run `fleet join` with a new invite",
        Fault.THEIRS,
    )


def _certificate(node: str, key: Ed25519PrivateKey) -> x509.Certificate:
    """A certificate that is its own anchor: OpenSSL and Go accept it as server, as client and as its only root."""
    public, name = key.public_key(), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    serial = int.from_bytes(hashlib.sha256(public.public_bytes_raw()).digest()[:16]) >> 1 or 1
    both_ends = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = x509.CertificateBuilder(name, name, public, serial, _BEGIN, _END)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_KEY_USAGE, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage(both_ends), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(f"{node}.fleet")]), critical=False)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    return builder.sign(key, None)


_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)

"""What happens to mail."""

import msgspec

from engine.model.channel import Channel
from engine.model.envelope import Envelope
from engine.model.mail import Parcel, Waiting
from engine.model.packets import Forward


class Posted(msgspec.Struct, frozen=True):
    """Someone here sent a message. `envelope.dst` is a node id already; `ticket` is answered once it is durable."""

    envelope: Envelope
    ticket: int
    via: Channel | None = None
    widened: bool = False


class Loaded(msgspec.Struct, frozen=True):
    """A page of messages to `peer` that waited in the store, oldest and most urgent first; `left` remain there."""

    peer: str
    waiting: tuple[Waiting, ...]
    left: int


class Arrived(msgspec.Struct, frozen=True):
    """Authenticated frames came in together. `token` names the open reply (0: none can be given)."""

    parcels: tuple[Parcel, ...]
    via: Channel
    token: int = 0


class Rejected(msgspec.Struct, frozen=True):
    """A frame or datagram was refused before it could change anything. `why` is one of `wire.REFUSALS`; `src` is what
    it claimed to be, never to be believed; `count`: so many alike at once."""

    why: str
    via: Channel | None
    src: str = ""
    count: int = 1


class Nudged(msgspec.Struct, frozen=True):
    """A person wants what waits for `peer` tried now instead of after its back-off. `widen`: the id of a message that
    may go any way from now on."""

    peer: str
    widen: str = ""


class ForwardCame(msgspec.Struct, frozen=True):
    """A peer asks us to carry a sealed frame on."""

    frm: str
    forward: Forward


class Transited(msgspec.Struct, frozen=True):
    """A reply held a frame for somebody else: a receipt on its way back through us."""

    frm: str
    dst: str
    frame: bytes

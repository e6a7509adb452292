"""mDNS (edge): a node that others can reach says so on its network; whoever looks, looks for a moment.

It tells name, id and port, which every peer port tells a stranger anyway, and only while this node listens beyond
loopback. The library is imported on a thread, when it is needed: it costs a tenth of a second. What is heard is a
stranger's word.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

import msgspec

from engine.membership.discovery import LIMIT, MDNS, Sighting

SERVICE = "_fleet._tcp.local."
# A label of DNS.
_LABEL_LIMIT = 63


class Telling(msgspec.Struct, frozen=True):
    """What is told: `hosts` are IPv4 addresses of this machine, none of them loopback unless a test says so."""

    node: str
    name: str
    port: int
    hosts: tuple[str, ...]


class Beacon:
    """This node on its networks. `tell` may be called as often as anything might have changed. `told`: what is being
    said; what could not be said is not, so that it is tried again."""

    def __init__(self) -> None:
        self.told: Telling | None = None
        self._zeroconf: Any = None
        self._one = asyncio.Lock()

    async def tell(self, telling: Telling | None) -> None:
        """Say this from now on, or (None) nothing. Where multicast cannot be had nobody is told."""
        async with self._one:
            if telling == self.told:
                return
            await self._silence()
            self.told = None
            if telling is not None:
                with suppress(OSError):
                    await self._say(telling)
                    self.told = telling

    async def _say(self, telling: Telling) -> None:
        library = await _library()
        info = library.AsyncServiceInfo(
            SERVICE,
            f"{telling.name[: _LABEL_LIMIT - 9]}-{telling.node[:8]}.{SERVICE}",
            port=telling.port,
            server=f"fleet-{telling.node}.local.",
            properties={"id": telling.node, "name": telling.name},
            addresses=[socket.inet_aton(host) for host in telling.hosts],
        )
        self._zeroconf = _opened(library, telling.hosts)
        try:
            await self._zeroconf.async_register_service(info)
        except Exception as error:  # noqa: BLE001 - a name that is taken, a socket that is gone: nobody is told
            await self._silence()
            raise OSError(str(error)) from None

    async def _silence(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()


async def sightings(seconds: float, hosts: Sequence[str]) -> list[Sighting]:
    """Who says so on the networks of these addresses of ours, within `seconds`."""
    library = await _library()
    to_all = _multicast()
    names: dict[str, None] = {}

    def changed(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
        if len(names) < LIMIT:
            names[name] = None

    try:
        zeroconf = _opened(library, hosts)
    except OSError:
        return []
    try:
        # Asked for a multicast answer: one to us alone would go to any of the sockets that share port 5353 on this
        # machine, our own beacon's or another program's, and be lost to whoever looks.
        browser = library.AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[changed], question_type=to_all)
        await asyncio.sleep(seconds / 2)
        infos = [library.AsyncServiceInfo(SERVICE, name) for name in names]
        answered = await asyncio.gather(*(one.async_request(zeroconf.zeroconf, seconds * 500, to_all) for one in infos))
        await browser.async_cancel()
        return [_sighting(info) for info, known in zip(infos, answered, strict=True) if known]
    finally:
        await zeroconf.async_close()


def _sighting(info: Any) -> Sighting:
    said = {key: value or "" for key, value in info.decoded_properties.items()}
    hosts = tuple(info.parsed_addresses())
    name = said.get("name") or info.name.partition(".")[0]
    place, note = next(iter(hosts), ""), f"peer port {info.port}"
    return Sighting(name, place, MDNS, note, node=said.get("id", ""), hosts=hosts, port=info.port or 0)


async def _library() -> Any:
    # It writes a traceback for each network that goes: what could not be said is said again, and that is all.
    logging.getLogger("zeroconf").setLevel(logging.CRITICAL)
    return await asyncio.to_thread(import_module, "zeroconf.asyncio")


def _multicast() -> Any:
    from zeroconf import DNSQuestionType

    return DNSQuestionType.QM


def _opened(library: Any, hosts: Sequence[str]) -> Any:
    from zeroconf import IPVersion

    return library.AsyncZeroconf(interfaces=list(hosts), ip_version=IPVersion.V4Only)

"""P0's rig: an HTTPS endpoint with a certificate of its own authority, which hands frames to the peer's port."""

import asyncio
import ssl

import httpx

from engine.config import CloudConfig
from engine.model.channel import Verdict
from engine.transports.cloud import Cloud
from engine.transports.http.channel import Http
from tests.contract.rig import Rig
from tests.nodes import LOOPBACK, Inbox, Target
from tests.triggers import Authority, Trigger


class CloudRig(Rig):
    """One endpoint, and behind it a peer's port."""

    best = Verdict.LANDED
    answers = False
    word = b""
    stores = True
    budget_s = 20.0

    async def open(self) -> None:
        here, there, _ = self.nodes
        self.authority = Authority()
        self.receiver = Http(there.port())
        await self.receiver.listen(self.inbox)
        self.onward = httpx.AsyncClient(verify=_pinned(there.cert), timeout=60.0)
        self.trigger = Trigger(self.authority.context(), self._hand_on)
        url = await self.trigger.start()
        config = CloudConfig(url, str(self.authority.secret_file), str(self.authority.file))
        self.sender = Cloud(here.id, config)
        self.target = there.target()

    async def vanish(self) -> None:
        await self.trigger.stop()

    async def swallow(self) -> None:
        self.trigger.let_go.clear()

    async def impersonate(self) -> Inbox:
        kept, stranger = Inbox(), Authority()
        await self.trigger.stop()
        self.trigger = Trigger(stranger.context(), None)
        self.trigger.came = kept.came  # type: ignore[assignment]  # whatever comes, something must not
        await self.trigger.start(self.sender_port)
        stranger.end()
        return kept

    async def clog(self) -> None:
        while not self.trigger.came.empty():
            self.trigger.came.get_nowait()
        self.trigger.let_go.clear()

    async def under_way(self) -> None:
        """All that flies has come, so that no handshake is left half done."""
        await self.trigger.came.get()
        for _ in range(len(self.sender._under_way) - 1):
            await self.trigger.came.get()

    async def free(self) -> None:
        self.trigger.let_go.set()

    def far(self) -> set[asyncio.Task[None]]:
        return set(self.trigger.tasks)

    def unknown(self) -> Target:
        self.sender._config = CloudConfig()
        return self.nodes[2].target()

    async def close(self) -> None:
        await self.sender.close()
        await self.trigger.stop()
        await self.onward.aclose()
        await self.receiver.close()
        self.authority.end()
        await super().close()

    @property
    def sender_port(self) -> int:
        """Where the sender believes the endpoint to be."""
        return httpx.URL(self.sender._config.url).port or 0

    async def _hand_on(self, frames: bytes) -> bool:
        url = f"https://{LOOPBACK}:{self.receiver._port.port}/deliver"
        answer = await self.onward.post(url, content=frames, headers={"content-type": "application/octet-stream"})
        return answer.status_code == httpx.codes.OK


def _pinned(certificate: object) -> ssl.SSLContext:
    """Trust exactly this certificate, whatever name it bears."""
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.check_hostname = False
    trusted.load_verify_locations(str(certificate))
    return trusted

"""A network of its own for a test: a thread in a fresh network namespace, where packets may be dropped freely."""

import asyncio
import ctypes
import subprocess
import threading
from collections.abc import Awaitable, Callable

CLONE_NEWNET = 0x40000000


def in_own_network(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` on a loop whose sockets and children see only a loopback of their own. Needs root.

    A namespace belongs to a thread (unshare(2)), so it ends with the thread and nothing has to be cleaned up.
    """
    failed: list[BaseException] = []

    def inside() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            asyncio.run(_all_of(work))
        except BaseException as error:  # noqa: BLE001 -- raised again where the test can see it
            failed.append(error)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


async def _all_of(work: Callable[[], Awaitable[None]]) -> None:
    await work()


def drop(*ports: int) -> None:
    """Drop every TCP packet from and to these ports, in silence."""
    those = ", ".join(map(str, ports))
    rules = f"""
    table inet cut {{
        chain input {{ type filter hook input priority 0; tcp dport {{ {those} }} drop; tcp sport {{ {those} }} drop; }}
    }}
    """
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def heal() -> None:
    """Let everything through again."""
    subprocess.run(["nft", "delete", "table", "inet", "cut"], check=True)

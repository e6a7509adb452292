"""Strangers at a node's doors, from another machine, while a good client goes on (faults.md, rows 28, 44, 45 and 46).

The sockets of the attacker are made on cedar's machine. What each kind of stranger is told is held in the tests of
the peer port; here it is the node as a whole that has to go on, and be no larger afterwards.
"""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random

import pytest

from tests.e2e.node import Node
from tests.e2e.until import until
from tests.faults.fabric import Bridge
from tests.faults.lab import Lab
from tests.faults.places import Place
from tests.faults.scale import SEED, scaled

pytestmark = [pytest.mark.slow, pytest.mark.needs_root, pytest.mark.needs("ip", "nft")]

Address = tuple[str, int]
Attack = Callable[[Address], None]


def plain() -> ssl.SSLContext:
    """A client that believes anybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def opened(at: Address) -> socket.socket:
    """A connection with TLS."""
    return plain().wrap_socket(socket.create_connection(at, timeout=20))


def cut_off(one: socket.socket) -> bytes:
    """What the node says before it hangs up, which it has to."""
    said = b""
    one.settimeout(30)
    with suppress(ConnectionError, ssl.SSLError):
        while more := one.recv(65_536):
            said += more
    return said


def slow_loris(at: Address) -> None:
    """Many heads that never end, a byte now and then."""
    with ExitStack() as held:
        many = []
        for _ in range(scaled(150, 1_000)):
            with suppress(OSError):
                many.append(held.enter_context(closing(opened(at))))
        for letter in b"POST /deliver HTTP/1.1\r\nX-Slow: ":
            for one in many:
                with suppress(OSError):
                    one.send(bytes([letter]))
            time.sleep(0.02)
        assert many
        for one in many:
            with suppress(TimeoutError):
                cut_off(one)


def header_bomb(at: Address) -> None:
    """Headers without end."""
    for _ in range(20):
        with closing(opened(at)) as one, suppress(OSError):
            one.sendall(b"POST /deliver HTTP/1.1\r\nHost: x\r\n" + b"X-Bomb: " + b"b" * 200_000)
            assert b" 200 " not in cut_off(one)


def garbage(at: Address) -> None:
    """Bytes of chance, with TLS around them and without."""
    random = Random(SEED)
    for number in range(scaled(16, 200)):
        with closing(opened(at) if number % 2 else socket.create_connection(at, timeout=20)) as one, suppress(OSError):
            one.sendall(random.randbytes(random.randrange(1, 20_000)))
            one.shutdown(socket.SHUT_WR) if number % 3 else None
            assert b" 200 " not in cut_off(one)


def hundred_megabytes(at: Address) -> None:
    """A body that is said to be enormous, and one that does not say."""
    for head in (b"Content-Length: 104857600\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n5f5e100\r\n"):
        with closing(opened(at)) as one, suppress(OSError):
            one.sendall(b"POST /deliver HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n" + head)
            for _ in range(100):
                one.sendall(bytes(1 << 20))
            assert b" 200 " not in cut_off(one)


def to_the_broker(at: Address) -> None:
    """Protocols that are none of NATS, and a message larger than any."""
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\0" * 4_096, b"CONNECT {}\r\nPUB x 104857600\r\n" + bytes(1 << 20)):
        with closing(socket.create_connection(at, timeout=20)) as one, suppress(OSError):
            one.sendall(words)
            one.shutdown(socket.SHUT_WR)
            cut_off(one)


ATTACKS: dict[str, Attack] = {
    one.__name__: one for one in (slow_loris, header_bomb, garbage, hundred_megabytes, to_the_broker)
}


@pytest.mark.parametrize("what", ATTACKS)
def test_a_good_client_goes_on(lab: Lab[Bridge], what: str) -> None:
    """While a stranger does its worst, mail over the same door goes on, each message once; afterwards the node is as
    large as before."""
    atlas, birch, cedar = lab.nodes
    who, via = ("broker", "nats") if what == "to_the_broker" else ("node", "http")
    ports = lab.ports(birch, who)
    with lab.case() as books, running(lab.place(cedar), lab.place(birch), ATTACKS[what], ports):
        for _ in range(20):
            assert books.send(atlas, birch, via=via)["channel"] == via


@contextmanager
def running(frm: Place, to: Place, attack: Attack, ports: list[int]) -> Iterator[None]:
    """An attack on these ports from another machine, under way inside the `with` and finished after it."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for port in ports:
                attack((to.host, port))
        except BaseException as error:  # noqa: BLE001 -- raised again where the test can see it
            failed.append(error)

    thread = threading.Thread(target=partial(frm.within, work))
    thread.start()
    try:
        yield
    finally:
        thread.join(90)
    assert not thread.is_alive()
    if failed:
        raise failed[0]


def test_a_flood_of_datagrams(lab: Lab[Bridge]) -> None:
    """Tens of thousands of datagrams of garbage at birch's gossip port, in its peers' names and others': none is
    answered, nobody is suspected, mail goes on."""
    atlas, birch, cedar = lab.nodes
    (port,) = {8857} & set(lab.ports(birch, protocol="udp"))  # mDNS has a door there too
    random, place = Random(SEED), lab.place(cedar)
    flood = place.within(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with lab.case() as books, closing(flood):
        flood.setblocking(False)
        seen: set[str] = set()
        for turn in range(scaled(40, 400)):
            for _ in range(500):
                with suppress(BlockingIOError):
                    flood.sendto(random.randbytes(random.randrange(1, 1_400)), (lab.place(birch).host, port))
            if turn % 10 == 0:
                books.send(atlas, birch)
                seen |= {peer["standing"] for node in lab.nodes for peer in node.status()["peers"]}
        assert seen == {"ALIVE"}
        with pytest.raises(BlockingIOError):
            flood.recv(1)


def certificate(folder: Path) -> tuple[str, str]:
    """A certificate of a stranger, and its key."""
    paths = str(folder / "cert.pem"), str(folder / "key.pem")
    words = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=birch", "-days", "2"]
    subprocess.run([*words, "-out", paths[0], "-keyout", paths[1]], check=True, capture_output=True)
    return paths


@contextmanager
def impostor(place: Place, port: int, victim: Place, folder: Path) -> Iterator[list[bytes]]:
    """Whoever calls this port of that machine from the victim's gets somebody else, with a certificate of the same
    name: what it was told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))
    heard: list[bytes] = []
    door = place.within(lambda: socket.create_server((place.host, 0)))
    other = door.getsockname()[1]

    def serve() -> None:
        with suppress(OSError):
            while True:
                one, _ = door.accept()
                with closing(one), suppress(OSError):
                    one.settimeout(5)
                    with closing(context.wrap_socket(one, server_side=True)) as talk:
                        heard.append(talk.recv(4_096))

    threading.Thread(target=serve, daemon=True).start()
    turn = f"ip saddr {victim.host} tcp dport {port} redirect to :{other}"
    chain = f"type nat hook prerouting priority -100\n {turn}"
    rules = f"table ip mitm {{\n chain door {{\n {chain}\n }}\n}}\n"
    try:
        nft(place, rules)
        yield heard
    finally:
        nft(place, "table ip mitm { }\ndelete table ip mitm\n")
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def nft(place: Place, rules: str) -> None:
    """Rules for one machine."""
    done = subprocess.run([*place.inside, "nft", "-f", "-"], input=rules, text=True, capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"this kernel cannot redirect: {done.stderr.strip().splitlines()[0]}")


@pytest.mark.needs("openssl")
def test_a_man_in_the_middle(lab: Lab[Bridge], tmp_path: Path) -> None:
    """Somebody else answers at birch's peer port: the channel is QUARANTINED and said, nothing is ever told to the
    stranger, mail goes on by P1; with the right key back there and looked at again, the channel is well."""
    atlas, birch, _ = lab.nodes
    (port,) = lab.ports(birch)
    with lab.case() as books:
        with impostor(lab.place(birch), port, lab.place(atlas), tmp_path) as heard:
            lab.cut_connections(birch, port)
            until(lambda: checked(atlas, birch) == "QUARANTINED", "the stranger to be seen")
            assert books.send(atlas, birch)["channel"] in ("nats", "relay")
            assert not any(heard), "a stranger heard something"
        until(lambda: checked(atlas, birch) == "HEALTHY", "birch's own key to be seen again")


def checked(here: Node, there: Node) -> str:
    """P2 as it is after a look at it by hand."""
    here.api.post("/check", {"name": there.name})
    return str(here.api.get("/channels")[there.name]["http"]["state"])

"""Every command of `fleet`, in one table: its name, its arguments, what it does in a line, and where it is done.

The table is all that is read at start; the module that does the work is imported when its command is called. A
command stands here only once it works. `changes` marks those that `--readonly` refuses, some only with some arguments.
"""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from engine.model.channel import CHANNELS, Channel
from engine.model.envelope import KINDS, TTL_LIMIT_S, WAITABLE, Kind, Rung
from engine.model.repair import Action
from engine.model.roster import Role


class Arg(NamedTuple):
    """One argument, as `argparse` wants it."""

    flags: tuple[str, ...]
    how: dict[str, Any]


class Verb(NamedTuple):
    """One command. `run`: module under `fleet_tui.commands` and function, `mail:send`. `changes`: whether it changes
    anything, which may hang on its arguments; `looks`: what to say instead in order to only look; `examples`: lines to
    copy, each with what it does."""

    name: str
    run: str
    help: str
    args: tuple[Arg, ...] = ()
    changes: bool | Callable[[argparse.Namespace], bool] = False
    looks: str = ""
    examples: str = ""

    def would_change(self, args: argparse.Namespace) -> bool:
        """Whether it would change anything, called like this."""
        return self.changes(args) if callable(self.changes) else self.changes


def _with(*names: str) -> Callable[[argparse.Namespace], bool]:
    """It changes something with any of these arguments."""
    return lambda args: any(getattr(args, name) for name in names)


def _unless_listing(args: argparse.Namespace) -> bool:
    return bool(args.what != "list")


def _takes(args: argparse.Namespace) -> bool:
    """A session that reads its mail has read it; a hook proves what it showed even when it takes nothing."""
    return bool(args.hook or (args.session and not args.peek))


def arg(*flags: str, **how: Any) -> Arg:
    """An argument of a command."""
    return Arg(flags, how)


UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds(text: str) -> int:
    """A duration: `90`, `90s`, `15m`, `2h`, `7d`, in whole seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: write 90, 90s, 15m, 2h or 7d")
    return int(number) * UNITS[unit]


def life(text: str) -> int:
    """How long something is valid: at least a second, at most ten years."""
    found = seconds(text)
    if not 1 <= found <= TTL_LIMIT_S:
        raise argparse.ArgumentTypeError(f"{text!r} is no lifetime: 1s to {TTL_LIMIT_S // 86_400}d")
    return found


def count(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def duration(text: str) -> float:
    """Seconds above 0, with a fraction if need be."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return found


def waiting(text: str) -> float:
    """Seconds from 0."""
    return 0.0 if text == "0" else duration(text)


def words(of: Any) -> list[str]:
    """The words of an enumeration, as choices."""
    return [word.value for word in of]


def channel(text: str) -> str:
    """A channel by its word or its number: `nats`, `P1`, `p1`."""
    for one, spec in CHANNELS.items():
        if text.lower() in (one, f"p{spec.number}"):
            return one.value
    there = ", ".join(f"P{spec.number} {one}" for one, spec in CHANNELS.items())
    raise argparse.ArgumentTypeError(f"there is no channel `{text}`: {there}")


PUBLIC = [kind.value for kind in Kind if KINDS[kind].public]
PEER = arg("peer", metavar="PEER", help="a member by name or id")
YES = arg("-y", "--yes", action="store_true", help="do not ask first")
LIMIT = arg("-n", "--limit", type=count, metavar="N", help="at most so many, the newest (default 50; with --json all)")
FOLLOW = arg("-f", "--follow", action="store_true", help="go on with what comes, until ctrl+c")
CHANNEL = {"type": channel, "choices": words(Channel), "metavar": "CHANNEL"}

VERBS: tuple[Verb, ...] = (
    Verb(
        "up",
        "node:up",
        "start this machine's node in the background",
        (arg("--unless-stopped", action="store_true", help="not if a person stopped it: what a peer or a timer asks"),),
        changes=True,
    ),
    Verb(
        "down",
        "node:down",
        "stop it, after what is under way is delivered or safely stored",
        (arg("--now", action="store_true", help="without waiting; nothing that was accepted is lost"),),
        changes=True,
    ),
    Verb("restart", "node:restart", "stop it and start it again", (arg("--now", action="store_true"),), changes=True),
    Verb(
        "demo",
        "show:demo",
        "a real fleet of several nodes on this machine, to try things on",
        (
            arg("--nodes", type=count, default=3, metavar="N", help="how many (default 3)"),
            arg("--script", action="store_true", help="without a screen: the first five minutes, told"),
            arg("--drill", action="store_true", help="faults on keys, and how they heal; --script tells them all"),
            arg("--keep", action="store_true", help="leave the nodes running at the end"),
            arg("--stop", action="store_true", help="stop the demo's nodes and remove their homes"),
        ),
        changes=True,
    ),
    Verb("status", "node:status", "this node, its broker, its outbox, its peers"),
    Verb(
        "init",
        "members:init",
        "make this machine's home, and name it",
        (arg("name", nargs="?", metavar="NAME", help="what the others see (default: the host's name)"),),
        changes=True,
    ),
    Verb(
        "invite",
        "members:invite",
        "print a code that lets one machine join",
        (
            arg("--role", choices=words(Role), default=Role.WORKER.value, help="what it will be (default worker)"),
            arg("--ttl", type=life, default=900, metavar="TIME", help="how long it is valid (default 15m)"),
        ),
        changes=True,
    ),
    Verb(
        "join",
        "members:join",
        "join a fleet with such a code",
        (arg("code", metavar="CODE", help="or - to read it from standard input"),),
        changes=True,
    ),
    Verb("revoke", "members:revoke", "put a machine out of the fleet", (PEER, YES), changes=True),
    Verb("leave", "members:leave", "take this machine out of its fleet", (YES,), changes=True),
    Verb("peers", "members:peers", "the other machines, and how present they are"),
    Verb("role", "members:role", "give a member a role", (PEER, arg("role", choices=words(Role))), changes=True),
    Verb(
        "send",
        "mail:send",
        "send a message; it is safe on disk when this returns",
        (
            arg("to", metavar="TO", help="names or ids with commas, role:ROLE, or all"),
            arg("text", nargs="*", metavar="TEXT", help="the message; - reads all of standard input"),
            arg(
                "--stdin",
                action="store_true",
                help="each line of standard input is a message; a line of JSON tells of each",
            ),
            arg("-k", "--kind", choices=PUBLIC, default="context", help="what it is for (default context)"),
            arg("--via", **CHANNEL, help="over this channel only"),
            arg("--any", action="store_true", help="over any channel, not only those of its kind"),
            arg("--ttl", type=seconds, metavar="TIME", help="how long it is worth carrying; 0 for ever"),
            arg(
                "-w", "--wait", choices=words(WAITABLE), metavar="RUNG", help="wait until it is this far, e.g. on_host"
            ),
            arg("--timeout", type=duration, default=30.0, metavar="S", help="how long to wait (default 30)"),
            arg("--thread", default="", metavar="ID", help="the conversation it belongs to"),
            arg("--session", default="", metavar="NAME", help="the AI session there that it is for"),
            arg("--dry-run", "--preview", action="store_true", help="only show whom it would reach, and how"),
            YES,
        ),
        changes=lambda args: not args.dry_run,
        looks="`--dry-run` shows whom it would reach",
        examples="""examples:
  fleet send mac2 "build is green"            safe on disk when it returns
  fleet send mac2 "build is green" -w on_host wait until it is on its disk
  fleet send all "stop at noon" --dry-run     whom it would reach
  git log -1 | fleet send mac2 -              standard input as one message
  tail -f build.log | fleet send mac2 --stdin each line as one message""",
    ),
    Verb(
        "why", "mail:why", "where a message or group is, what was tried, what it waits for", (arg("id", metavar="ID"),)
    ),
    Verb(
        "resend",
        "mail:resend",
        "try a waiting message now; never twice",
        (arg("id", metavar="ID"), arg("--any", action="store_true", help="over any channel from now on")),
        changes=True,
    ),
    Verb(
        "messages",
        "mail:messages",
        "the log of everything sent and received",
        (
            LIMIT,
            FOLLOW,
            arg("--peer", metavar="PEER", help="only with this member"),
            arg("--kind", choices=[*PUBLIC, Kind.HELLO.value], help="only of this kind"),
            arg("--dir", choices=["in", "out"], help="only what came, or what went"),
            arg("--rung", choices=words(Rung), help="only what is on this rung"),
            arg("--text", metavar="TEXT", help="only what matches: name, kind, rung, channel, id"),
        ),
    ),
    Verb(
        "inbox",
        "mail:inbox",
        "the messages for this machine, with what they say",
        (
            LIMIT,
            FOLLOW,
            arg("--after", default="", metavar="ID", help="only those after this one"),
            arg("--session", default="", metavar="NAME", help="what came for this session since it read last"),
            arg("--peek", action="store_true", help="with --session: leave it unread"),
            arg("--hook", action="store_true", help="with --session: answer an agent's hook, in JSON"),
        ),
        changes=_takes,
        looks="`--session NAME --peek` leaves it unread",
    ),
    Verb(
        "text",
        "sessions:text",
        "which sessions here may be typed into by messages that name them",
        (
            arg("what", choices=["list", "allow", "forbid"], nargs="?", default="list"),
            arg("session", nargs="?", default="", metavar="NAME", help="the session; run it in its own pane"),
            arg("--pane", default="", metavar="PANE", help="another tmux pane, as %%3 (on macOS a tty)"),
            arg("--socket", default="", metavar="PATH", help="of another tmux server"),
            arg("--kind", choices=["tmux", "terminal", "iterm2"], default="tmux", help="what the terminal runs in"),
            arg("--prompt", default="", metavar="REGEX", help="what stands before the cursor in its empty prompt"),
        ),
        changes=_unless_listing,
        looks="`fleet text list` looks",
    ),
    Verb("channels", "ways:channels", "every channel to every peer", (arg("peer", nargs="?", metavar="PEER"),)),
    Verb(
        "check",
        "ways:check",
        "a round trip to a peer on every channel, now",
        (PEER, arg("channel", nargs="?", help="show this one", **CHANNEL)),
    ),
    Verb("probe", "ways:probe", "ask for a probe", (PEER, arg("channel", nargs="?", **CHANNEL)), changes=True),
    Verb(
        "hold",
        "ways:hold",
        "keep a channel out of the cascade, or let it back in",
        (PEER, arg("channel", **CHANNEL), arg("--off", action="store_true", help="let it back in")),
        changes=True,
    ),
    Verb(
        "repair",
        "repair:repair",
        "repair a broken channel; alone: what is under repair",
        (
            arg("peer", nargs="?", metavar="PEER", help="a member by name or id"),
            arg("--channel", **CHANNEL, help="this one (default: the one in the worst state)"),
            arg("--level", type=int, choices=[1, 2, 3, 4], default=1, help="from this rung on (default 1)"),
            arg("--approve", action="store_true", help="run the commands that wait for a person; asks first"),
            arg("--dismiss", action="store_true", help="you have seen to approved commands that were broken off"),
            arg("--local", choices=words(Action), metavar="ACTION", help=f"mend this node: {', '.join(Action)}"),
            YES,
        ),
        changes=_with("peer", "approve", "dismiss", "local"),
        looks="`fleet repair` alone lists them",
    ),
    Verb(
        "wake",
        "nearby:wake",
        "switch a machine on over its network, and wait until its node is there",
        (PEER, arg("--wait", type=waiting, default=60.0, metavar="S", help="how long (default 60; 0 only sends)")),
        changes=True,
    ),
    Verb(
        "doctor",
        "doctor:doctor",
        "what is wrong here, why, and the command that mends it",
        (arg("--fix", action="store_true", help="mend what can be mended safely, and list what is left"),),
        changes=_with("fix"),
        looks="`fleet doctor` alone looks",
    ),
    Verb(
        "onboard",
        "onboard:onboard",
        "ten checks of this machine and a peer that met: keys, clock, channels, mail both ways",
        (arg("peer", nargs="?", metavar="PEER", help="with whom (default: the chief)"),),
        changes=True,
    ),
    Verb("discover", "nearby:discover", "machines nearby that could join; suggestions, trust is the invite"),
    Verb(
        "tunnel",
        "nearby:tunnel",
        "keep a way through ssh to a peer that nothing else reaches",
        (
            arg("what", nargs="?", choices=["add", "list", "remove"], default="list"),
            arg("peer", nargs="?", metavar="PEER", help="a member by name or id"),
            arg("--ssh", default="", metavar="HOST", help="as ssh knows it (default: as the peer told of its sshd)"),
        ),
        changes=_unless_listing,
        looks="`fleet tunnel list` looks",
    ),
    Verb(
        "config",
        "files:config",
        "what is configured",
        (
            arg("what", nargs="?", choices=["show", "check", "path"], default="show"),
            arg("--origin", action="store_true", help="and where each value comes from"),
        ),
    ),
    Verb("token", "files:token", "the bearer token of the API on loopback TCP"),
    Verb(
        "ledger",
        "files:ledger",
        "the evidence: what was decided and done, chained",
        (arg("what", nargs="?", choices=["show", "verify"], default="show"), LIMIT),
    ),
    Verb("metrics", "node:metrics", "numbers for Prometheus"),
    Verb("log", "files:log", "the node's own log", (LIMIT, FOLLOW)),
    Verb("keys", "files:keys", "the keys of the control room"),
    Verb(
        "completion",
        "files:completion",
        'completion for a shell: eval "$(fleet completion bash)"',
        (arg("shell", choices=["bash", "zsh", "fish"]),),
    ),
)

BY_NAME = {verb.name: verb for verb in VERBS}

"""The last line of defence: whatever looks like a key, a token or an invite is masked before a log line is written.

Nothing is supposed to log a secret; this is for the day something does. `scrub` is a filter for a logging handler: it
rewrites the record's text and its traceback and lets every record pass. It errs on the side of masking: a long run of
hex or base64 goes, even where it was only a digest. Ids, ULIDs, git hashes, names and paths stay readable.
"""

import re
import traceback
from itertools import pairwise
from types import TracebackType
from typing import Any, Protocol

MASK = "‹hidden›"

# What is in a group named `keep` stays. Order counts: the telling words go before the mere shapes.
_PATTERNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # invites
        r"\bfleet\d+-[A-Za-z2-7]{16,}",
        # PEM, as far as the line has it
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
        # NATS seeds and private keys; their public keys begin with another letter
        r"\b(?:S[ACNOUX]|P)[A-Z2-7]{54,58}\b",
        # keys of vendors whose tools run beside us
        r"\b(?:sk-|gh[pousr]_|github_pat_|xox[abprs]-|AKIA)[A-Za-z0-9_-]{12,}",
        # Authorization headers, and passwords in URLs
        r"(?P<keep>(?i:\b(?:bearer|basic)) )[^\s\"',]{8,}",
        r"(?P<keep>://)[^/\s:@]*:[^/\s@]+(?=@)",
        # a secret that is called one
        r"(?P<keep>(?i:pass(?:word|wd|phrase)|secret|token|api[_-]?key|private[_-]?key|seed)[\"']?\s*[=:]\s*)"
        r"(?:b?\"[^\"]*\"|b?'[^']*'|[^\s,;)}\]]+)",
        # bytes as Python shows them: keys and bodies
        r"\bb'(?:\\.|[^'\\]){16,}'|\bb\"(?:\\.|[^\"\\]){16,}\"",
        # 24 bytes and more in hex; a git hash has 20
        r"\b[0-9a-fA-F]{48,}\b",
    )
)
# 32 bytes and more in base64; whether it is that or a path, `_random` says.
_RUN = re.compile(r"[A-Za-z0-9+/_-]{43,}={0,2}")
# Letters of random base64 change between upper, lower and digit 62 times in 100; those of paths and names 10 to 20.
_CHANGES = 0.4


class Record(Protocol):
    """What of a `logging.LogRecord` is read and rewritten."""

    msg: Any
    args: Any
    exc_info: Any
    exc_text: str | None

    def getMessage(self) -> str: ...  # noqa: N802 - logging's name


def mask(text: str) -> str:
    """The text with everything that looks like a secret hidden."""
    for pattern in _PATTERNS:
        text = pattern.sub(_hidden, text)
    return _RUN.sub(lambda run: MASK if _random(run[0]) else run[0], text)


def scrub(record: Record) -> bool:
    """Mask a log record in place; always True, for `logging.Handler.addFilter`."""
    record.msg, record.args = mask(record.getMessage()), None
    if record.exc_info and not record.exc_text:
        record.exc_text = _story(record.exc_info)
    if record.exc_text:
        record.exc_text = mask(record.exc_text)
    return True


def _story(info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    # A formatter prints `exc_text` as it finds it, so what it would have made of `exc_info` is made here.
    return "".join(traceback.format_exception(*info)).rstrip("\n")


def _hidden(found: re.Match[str]) -> str:
    return found.groupdict().get("keep", "") + MASK


def _random(run: str) -> bool:
    classes = [(one.isdigit(), one.isupper()) for one in run if one.isalnum()]
    return sum(a != b for a, b in pairwise(classes)) >= _CHANGES * len(run)

"""No hang is possible: a derivation that was not made before runs in a process of its own, which can be killed.

Such processes may be at work while their parent does something else.

Which formula comes out depends on the density alone; the clock decides only whether one comes out.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cgc.derive import cache
from cgc.derive.beside import allow
from cgc.derive.codec import decode, encode
from cgc.derive.derivation import Derivation, Refusal
from cgc.derive.derive import derive
from cgc.families.forms import Law
from cgc.source.diagnostics import InternalCompilerError

SECONDS = 60.0


Wanted = tuple[Law, str | None, bool]
"""What :func:`derive_within` is asked for."""


@dataclass
class _Child:
    """A process at work: what it has said so far, and when its time is up."""

    process: int
    reading: int
    until: float
    said: bytes = b""


_waiting: dict[Wanted, float] = {}  # with their limits, in seconds
_running: dict[Wanted, _Child] = {}
_answered: dict[Wanted, bytes | None] = {}  # None where the time was up
_asked: set[Wanted] = set()


@lru_cache(maxsize=256)
def derive_within(law: Law, emit: str | None = None, closed: bool = True, seconds: float | None = None) -> Derivation:
    """:func:`~cgc.derive.derive.derive`, from the cache or in a process that ends after ``seconds`` (``$CGC_TIME_LIMIT``, else 60).

    Raises Refusal, with the code CG514 when the time is up, and InternalCompilerError.
    """
    wanted = (law, emit, closed)
    _asked.add(wanted)
    known = None if _begun(wanted) else cache.load(*wanted)
    if known is not None:
        return known
    found = _in_child(wanted, _limit(seconds)) if hasattr(os, "fork") else derive(*wanted)
    cache.store(*wanted, found)
    return found


def begin(several: Sequence[Wanted]) -> bool:
    """Sets what is new to work, in as many processes at a time as there are processors, and says whether anything is;
    :func:`derive_within` waits for the answers."""
    new = [wanted for wanted in dict.fromkeys(several) if wanted not in _asked and not _begun(wanted) and cache.load(*wanted) is None]
    if not hasattr(os, "fork"):
        return False
    _waiting.update(dict.fromkeys(new, _limit(None)))
    _start()
    return bool(new)


def _begun(wanted: Wanted) -> bool:
    return wanted in _waiting or wanted in _running or wanted in _answered


def _limit(seconds: float | None) -> float:
    return float(os.environ.get("CGC_TIME_LIMIT", SECONDS)) if seconds is None else seconds


def _in_child(wanted: Wanted, limit: float) -> Derivation:
    if not _begun(wanted):
        _waiting[wanted] = limit
    while wanted not in _answered:
        _start()
        _listen()
    answer = _answered.pop(wanted)
    if answer is None:
        raise Refusal(
            "CG514", f"no formula was found within {limit:g} seconds", why="the density leads to expressions that grow too large",
            help="say `route: quadrature` to have its moments computed numerically, or give more time with CGC_TIME_LIMIT=seconds",
        )  # fmt: skip
    kind, _, rest = answer.decode().partition("\n")
    if kind == "found":
        return decode(rest, wanted[0])
    if kind == "refused":
        raise Refusal(*rest.split("\x00"))
    raise InternalCompilerError("derive", rest or "the process that derives has died")


def _start() -> None:
    """As many of those that wait as there are processors left."""
    while _waiting and len(_running) < (os.cpu_count() or 1):
        wanted = next(iter(_waiting))
        _running[wanted] = _started(wanted, _waiting.pop(wanted))


def _listen() -> None:
    """Until a process at work says something, or its time is up."""
    left = min(child.until for child in _running.values()) - time.monotonic()
    ready = select.select([child.reading for child in _running.values()], [], [], max(left, 0))[0]
    for wanted, child in list(_running.items()):
        part = os.read(child.reading, 1 << 16) if child.reading in ready else b""
        child.said += part
        late = time.monotonic() >= child.until
        if not part and (late or child.reading in ready):
            _answered[wanted] = child.said if child.reading in ready else None
            _ended(_running.pop(wanted), kill=child.reading not in ready)


def _started(wanted: Wanted, limit: float) -> _Child:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(writing, *wanted)
    os.close(writing)
    return _Child(child, reading, time.monotonic() + limit)


def _ended(child: _Child, kill: bool) -> None:
    os.close(child.reading)
    if kill:
        os.kill(child.process, signal.SIGKILL)
    os.waitpid(child.process, 0)


def _work(writing: int, law: Law, emit: str | None, closed: bool) -> None:
    """The child: derive, write the answer, leave without touching anything of the parent's."""
    allow()
    try:
        answer = "found\n" + encode(derive(law, emit, closed))
    except Refusal as refusal:
        answer = "refused\n" + "\x00".join((refusal.code, refusal.message, refusal.field, refusal.why, refusal.help))
    except BaseException as error:
        answer = f"failed\n{type(error).__name__}: {error}"
    data = answer.encode()
    while data:
        data = data[os.write(writing, data) :]
    os._exit(0)

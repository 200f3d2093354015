"""No hang is possible: a derivation that was not made before runs in a process of its own, which can be killed.

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

_answered: dict[Wanted, bytes | None] = {}
_asked: set[Wanted] = set()


@lru_cache(maxsize=256)
def derive_within(law: Law, emit: str | None = None, closed: bool = True, seconds: float | None = None) -> Derivation:
    """:func:`~cgc.derive.derive.derive`, from the cache or in a process that ends after ``seconds`` (``$CGC_TIME_LIMIT``, else 60).

    Raises Refusal, with the code CG514 when the time is up, and InternalCompilerError.
    """
    wanted = (law, emit, closed)
    _asked.add(wanted)
    known = None if wanted in _answered else cache.load(*wanted)
    if known is not None:
        return known
    found = _in_child(wanted, _limit(seconds)) if hasattr(os, "fork") else derive(*wanted)
    cache.store(*wanted, found)
    return found


def derive_together(several: Sequence[Wanted]) -> None:
    """Derives what is new, in as many processes at a time as there are processors; :func:`derive_within` has the answers."""
    new = [wanted for wanted in dict.fromkeys(several) if wanted not in _asked and cache.load(*wanted) is None]
    if len(new) > 1 and hasattr(os, "fork"):
        _answered.update(zip(new, _answers(new, _limit(None)), strict=True))


def _limit(seconds: float | None) -> float:
    return float(os.environ.get("CGC_TIME_LIMIT", SECONDS)) if seconds is None else seconds


def _in_child(wanted: Wanted, limit: float) -> Derivation:
    if wanted not in _answered:
        (_answered[wanted],) = _answers([wanted], limit)
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


@dataclass
class _Child:
    """A process at work: what it has said so far, and when its time is up."""

    process: int
    reading: int
    until: float
    said: bytes = b""


def _answers(several: Sequence[Wanted], limit: float) -> list[bytes | None]:
    """What a process each says, None where its time was up."""
    answers: list[bytes | None] = [None] * len(several)
    waiting, running = list(range(len(several))), dict[int, _Child]()
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            k = waiting.pop(0)
            running[k] = _started(several[k], limit)
        left = min(child.until for child in running.values()) - time.monotonic()
        ready = select.select([child.reading for child in running.values()], [], [], max(left, 0))[0]
        for k, child in list(running.items()):
            part = os.read(child.reading, 1 << 16) if child.reading in ready else b""
            child.said += part
            late = time.monotonic() >= child.until
            if not part and (late or child.reading in ready):
                answers[k] = child.said if child.reading in ready else None
                _ended(running.pop(k), kill=child.reading not in ready)
    return answers


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

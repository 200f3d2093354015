"""No hang is possible: a derivation that was not made before runs in a process of its own, which can be killed.

Which formula comes out depends on the density alone; the clock decides only whether one comes out.
"""

from __future__ import annotations

import os
import select
import signal
import time
from functools import lru_cache

from cgc.derive import cache
from cgc.derive.codec import decode, encode
from cgc.derive.derivation import Derivation, Refusal
from cgc.derive.derive import derive
from cgc.families.forms import Law
from cgc.source.diagnostics import InternalCompilerError

SECONDS = 60.0


@lru_cache(maxsize=256)
def derive_within(law: Law, emit: str | None = None, closed: bool = True, seconds: float | None = None) -> Derivation:
    """:func:`~cgc.derive.derive.derive`, from the cache or in a process that ends after ``seconds`` (``$CGC_TIME_LIMIT``, else 60).

    Raises Refusal, with the code CG514 when the time is up, and InternalCompilerError.
    """
    known = cache.load(law, emit, closed)
    if known is not None:
        return known
    limit = float(os.environ.get("CGC_TIME_LIMIT", SECONDS)) if seconds is None else seconds
    found = _in_child(law, emit, closed, limit) if hasattr(os, "fork") else derive(law, emit, closed)
    cache.store(law, emit, closed, found)
    return found


def _in_child(law: Law, emit: str | None, closed: bool, limit: float) -> Derivation:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(writing, law, emit, closed)
    os.close(writing)
    answer, in_time = _collect(reading, limit)
    os.close(reading)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if not in_time:
        raise Refusal(
            "CG514", f"no formula was found within {limit:g} seconds", why="the density leads to expressions that grow too large",
            help="say `route: quadrature` to have its moments computed numerically, or give more time with CGC_TIME_LIMIT=seconds",
        )  # fmt: skip
    kind, _, rest = answer.decode().partition("\n")
    if kind == "found":
        return decode(rest, law)
    if kind == "refused":
        raise Refusal(*rest.split("\x00"))
    raise InternalCompilerError("derive", rest or "the process that derives has died")


def _work(writing: int, law: Law, emit: str | None, closed: bool) -> None:
    """The child: derive, write the answer, leave without touching anything of the parent's."""
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


def _collect(reading: int, limit: float) -> tuple[bytes, bool]:
    """What the child says until it is done, and whether that was in time."""
    parts: list[bytes] = []
    until = time.monotonic() + limit
    while True:
        left = until - time.monotonic()
        if left <= 0 or not select.select([reading], [], [], left)[0]:
            return b"", False
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts), True
        parts.append(part)

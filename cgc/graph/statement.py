"""Independence statements as text: ``LEFT ⟂ RIGHT | GIVEN where CONDITION`` → a tree with the place of every term.

Only the form of a statement is judged here; ``binding.py`` holds it against the components of a spec.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from cgc.graph import predicate
from cgc.graph.predicate import Arithmetic, Constant, Expression, Index, Predicate, Truth
from cgc.graph.syntax import RESERVED, ExpressionReader, Token
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Span

FORM = "write `LEFT ⟂ RIGHT | GIVEN where CONDITION`, for example `h[i,t] ⟂ h[j,t-1] | parents where j != i`"

Keyword = Literal["parents", "boundary"]
Anchor = Literal["t", "T", "0"]
"""What a time counts from: any step t, the last step T, or the first one. Statements of specs know t only."""


@dataclass(frozen=True)
class Slice:
    """start:stop:step with Python's meaning; None where nothing is written."""

    start: Expression | None = None
    stop: Expression | None = None
    step: int = 1


Selector: TypeAlias = Index | Constant | Slice


@dataclass(frozen=True)
class Term:
    """Nodes of one component (or layer): ``name[index, …]``.

    ``selectors`` are None for a bare name, which means all nodes. ``time`` is k for ``t+k``, None if no time is written; in queries it
    may count from another ``anchor``.
    """

    name: str
    selectors: tuple[Selector, ...] | None
    time: int | None
    span: Span
    anchor: Anchor = "t"

    def __str__(self) -> str:
        if self.selectors is None:
            return self.name
        indices = [selector_text(s) for s in self.selectors] + ([] if self.time is None else [time_text(self.time, self.anchor)])
        return f"{self.name}[{','.join(indices)}]"


@dataclass(frozen=True)
class Statement:
    """left ⟂ right | given, for all index values that satisfy ``condition`` and for all times."""

    left: tuple[Term, ...]
    right: tuple[Term, ...]
    given: tuple[Term | Keyword, ...]
    condition: Predicate
    span: Span
    condition_span: Span

    def __str__(self) -> str:
        given = f" | {terms_text(self.given)}" if self.given else ""
        where = "" if self.condition == Truth(True) else f"  where {predicate.text(self.condition)}"
        return f"{terms_text(self.left)} ⟂ {terms_text(self.right)}{given}{where}"


def terms_text(terms: tuple[Term | Keyword, ...]) -> str:
    """Terms as written in a statement."""
    return ", ".join(str(term) for term in terms)


def time_text(offset: int, anchor: Anchor = "t") -> str:
    """``t``, ``t-1``, ``t+2``; ``T-1``; ``5``."""
    return str(offset) if anchor == "0" else f"{anchor}{offset:+d}" if offset else anchor


def selector_names(selector: Selector) -> tuple[str, ...]:
    """The indices that a selector speaks of, in order."""
    return tuple(name for expression in _expressions(selector) for name in predicate.names(expression))


def selector_constants(selector: Selector) -> tuple[int, ...]:
    """The numbers in a selector, in order."""
    return tuple(c for expression in _expressions(selector) for c in predicate.constants(expression))


def _expressions(selector: Selector) -> tuple[Expression, ...]:
    written = (selector.start, selector.stop, Constant(selector.step)) if isinstance(selector, Slice) else (selector,)
    return tuple(expression for expression in written if expression is not None)


def selector_text(selector: Selector) -> str:
    """An index as written in a statement."""
    if not isinstance(selector, Slice):
        return predicate.text(selector)
    start, stop = ("" if bound is None else predicate.text(bound) for bound in (selector.start, selector.stop))
    return f"{start}:{stop}" + ("" if selector.step == 1 else f":{selector.step}")


def index_names(terms: tuple[Term, ...]) -> tuple[str, ...]:
    """The names that stand as indices in the terms, in order."""
    return tuple(dict.fromkeys(s.name for term in terms for s in term.selectors or () if isinstance(s, Index)))


def parse(text: str, span: Span, anchors: tuple[Anchor, ...] = ("t",)) -> Statement:
    """The statement written as ``text`` at ``span``; ``_||_`` and ``⊥`` may stand for ``⟂``. ``anchors`` are the names of times.

    Raises SpecError: CG410 for its form, CG413 for a time, CG414 for index names that no term of LEFT or RIGHT has, CG416 and CG417
    for its condition.
    """
    reader = StatementReader(text, span, FORM)
    reader.anchors = anchors
    return reader.statement()


class StatementReader(ExpressionReader):
    """Reads statements. ``anchors`` are what times may count from."""

    anchors: tuple[Anchor, ...] = ("t",)

    def statement(self) -> Statement:
        left = self.terms()
        if not self.take("⟂"):
            self.unexpected("`⟂`")
        right = self.terms()
        given: tuple[Term | Keyword, ...] = ()
        if self.take("|"):
            items = [self._given()]
            while self.take(","):
                items.append(self._given())
            given = tuple(items)
        where = self.take("where")
        start = self.next.offset
        condition = self.condition() if where else Truth(True)
        if self.next.kind != "end":
            self.unexpected("the end" if where else "`where` or the end" if given else "`|`, `where` or the end")
        if unbound := list(self.unbound(index_names((*left, *right)), start)):
            raise SpecError(*unbound)
        return Statement(left, right, given, condition, self.span, self.place(start) if where else self.span)

    def terms(self) -> tuple[Term, ...]:
        terms = [self.term()]
        while self.take(","):
            terms.append(self.term())
        return tuple(terms)

    def _given(self) -> Term | Keyword:
        word = self.take("parents", "boundary")
        return cast(Keyword, word.text) if word else self.term()

    def term(self) -> Term:
        name = self.next
        if name.kind != "name" or name.text in RESERVED:
            self.unexpected("the name of a component")
        self.take(name.text)
        if not self.take("["):
            return Term(name.text, None, None, self.place(name.offset))
        selectors: list[Selector] = []
        time: tuple[int, Anchor] | None = None
        while True:
            start = self.next.offset
            index = self._index()
            if time is not None:
                self.fail_from(start, "CG413", "an index stands after the time", "the time is the last index")
            time = self._time(index, start)
            if time is None:
                selectors.append(self._selector(index, start))
            if self.take("]"):
                offset, anchor = time or (None, "t")
                return Term(name.text, tuple(selectors), offset, self.place(name.offset), anchor)
            if not self.take(","):
                self.unexpected("`,` or `]`")

    def _index(self) -> Expression | Slice:
        start = None if self.next.text == ":" else self.expression()
        if not self.take(":"):
            return cast(Expression, start)
        stop = None if self.next.text in (":", ",", "]") else self.expression()
        if not self.take(":"):
            return Slice(start, stop)
        offset = self.next.offset
        step = self.expression()
        if not isinstance(step, Constant) or step.value < 1:
            self.fail_from(offset, "CG410", "the step of a slice is a positive integer")
        return Slice(start, stop, step.value)

    def _time(self, index: Expression | Slice, start: int) -> tuple[int, Anchor] | None:
        for anchor in self.anchors:
            match index:
                case Index(name) if name == anchor:
                    return 0, anchor
                case Arithmetic("+", Index(name), Constant(value)) if name == anchor:
                    return value, anchor
                case Arithmetic("-", Index(name), Constant(value)) if name == anchor:
                    return -value, anchor
        if any(use.text in self.anchors and use.offset >= start for use in self.uses):
            more = " `T` and `T-1` count from the last step" if "T" in self.anchors else ""
            self.fail_from(start, "CG413", "this is not a time", f"times are `t`, `t-1`, `t+1` and so on{';' * bool(more)}{more}")
        return None

    def _selector(self, index: Expression | Slice, start: int) -> Selector:
        if isinstance(index, Selector):
            return index
        name = next(n for n in ("k", "l", "m", "n") if n not in predicate.names(index))
        help = f"give it a name and say what it is: `{name}` here, and `where {name} == {predicate.text(index)}` at the end"
        self.fail_from(start, "CG410", "an index is a name, an integer, `:` or a slice", help)

    def unbound(self, bound: tuple[str, ...], where: int, sides: str = "neither LEFT nor RIGHT") -> Iterator[Diagnostic]:
        """One Diagnostic, at its first use, for every name that is no index of these terms. The condition starts at ``where``."""
        first: dict[str, Token] = {}
        for use in self.uses:
            if use.text not in bound and (use.text not in self.anchors or use.offset >= where):
                first.setdefault(use.text, use)
        for name, use in first.items():
            span = self.span.within(use.offset, use.length)
            if name in self.anchors:
                yield Diagnostic("CG413", "a condition cannot depend on the time", span, help="a statement is about every t")
                continue
            near = nearest(name, bound)
            if near:
                help = f"did you mean `{near}`?"
            elif use.offset < where:
                help = "write `:` for all its values"
            else:
                help = f"their indices are {', '.join(f'`{b}`' for b in bound)}" if bound else f"name one there, as in `h[{name}]`"
            yield Diagnostic("CG414", f"`{name}` is an index of {sides}", span, help=help)

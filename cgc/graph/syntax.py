"""Tokens and expressions of statements, read by recursive descent within bounds on length, depth and size. Nothing is evaluated as code."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, cast

from cgc.graph import predicate
from cgc.graph.predicate import Constant, Expression, FunctionName, Index, Predicate, Relation
from cgc.source.diagnostics import Diagnostic, SpecError
from cgc.source.suggest import nearest
from cgc.source.text import Span

MAX_CHARACTERS = 500
MAX_TOKENS = 200
MAX_DEPTH = 20
MAX_DIGITS = 9

FUNCTIONS = {"abs": (1, 1), "min": (2, 8), "max": (2, 8)}
RESERVED = {"and", "or", "not", "where", "parents", "boundary", *FUNCTIONS}

Value: TypeAlias = Predicate | Expression
Rule: TypeAlias = Callable[[], Value]


@dataclass(frozen=True)
class Token:
    """A word of a statement; ``offset`` counts characters from its start."""

    kind: Literal["name", "number", "sign", "end"]
    text: str
    offset: int
    length: int


_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<name>[A-Za-z]\w*(?:\.\w+)*)|(?P<number>\d+)"
    r"|(?P<sign>_\|\|_|==|!=|<=|>=|//|\*\*|&&|\|\||[⟂⊥⫫≠≤≥−<>|,\[\]():%+*/=&!^~-])",
    re.ASCII,
)
_SAME = {"_||_": "⟂", "⊥": "⟂", "⫫": "⟂", "≠": "!=", "≤": "<=", "≥": ">=", "−": "-"}
_INSTEAD = {"**": "*", "/": "//", "=": "==", "&": "and", "&&": "and", "||": "or", "!": "not", "~": "not", "^": "!="}
_RELATIONS = ("==", "!=", "<", "<=", ">", ">=")


class ExpressionReader:
    """Reads expressions and conditions off a text that stands at ``span``. Every failure is a SpecError with one Diagnostic.

    CG410 is a mistake in the form of a statement, CG416 one in an expression, CG417 a division by zero.
    ``uses`` are the places at which a name stands in an expression. ``form`` is the help for a wrong form.
    """

    def __init__(self, text: str, span: Span, form: str) -> None:
        self.span = span
        self.form = form
        self.uses: list[Token] = []
        self._depth = 0
        self._position = 0
        if len(text) > MAX_CHARACTERS:
            raise SpecError(Diagnostic("CG410", f"this has {len(text)} characters; at most {MAX_CHARACTERS} are read", span))
        self._tokens = list(self._split(text))
        if len(self._tokens) > MAX_TOKENS:
            raise SpecError(Diagnostic("CG410", f"this has {len(self._tokens)} words and signs; at most {MAX_TOKENS} are read", span))

    def _split(self, text: str) -> Iterator[Token]:
        offset = 0
        while offset < len(text):
            match = _TOKEN.match(text, offset)
            if match is None:
                self.fail("CG410", f"unexpected character {text[offset]!r}", offset, 1, self.form)
            if match.lastgroup != "space":
                found = match.group()
                yield Token(cast(Literal["name", "number", "sign"], match.lastgroup), _SAME.get(found, found), offset, len(found))
            offset = match.end()
        yield Token("end", "", len(text.rstrip()), 1)

    # --- Tokens.

    @property
    def next(self) -> Token:
        """The token to be read next."""
        return self._tokens[self._position]

    @property
    def end(self) -> int:
        """Where the last token that was read ends."""
        last = self._tokens[self._position - 1]
        return last.offset + last.length

    def take(self, *texts: str) -> Token | None:
        """The next token if it is one of these signs or words; it is then read."""
        token = self.next
        if token.kind == "end" or token.text not in texts:
            return None
        self._position += 1
        return token

    def place(self, start: int) -> Span:
        """From ``start`` to the last token that was read."""
        return self.span.within(start, self.end - start)

    def fail(self, code: str, message: str, offset: int, length: int, help: str = "") -> NoReturn:
        """Raise a SpecError."""
        raise SpecError(Diagnostic(code, message, self.span.within(offset, length), help=help))

    def fail_from(self, start: int, code: str, message: str, help: str = "") -> NoReturn:
        """Raise a SpecError about what was read since ``start``."""
        self.fail(code, message, start, self.end - start, help)

    def unexpected(self, wanted: str) -> NoReturn:
        """Raise a SpecError about the next token, where ``wanted`` should stand."""
        token = self.next
        if token.kind == "end":
            self.fail("CG410", f"the text ends where {wanted} should follow", token.offset, 1, self.form)
        if token.text == "**":
            self.fail("CG416", "`**` has no meaning here", token.offset, token.length, "write a product, such as `i * i`")
        if token.text in _INSTEAD:
            self.fail("CG416", f"`{token.text}` has no meaning here", token.offset, token.length, f"write `{_INSTEAD[token.text]}`")
        self.fail("CG410", f"`{token.text}` stands where {wanted} should", token.offset, token.length, self.form)

    @contextmanager
    def _nested(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.fail("CG416", f"this is nested more than {MAX_DEPTH} deep", self.next.offset, self.next.length)
        yield
        self._depth -= 1

    # --- Expressions, from the loosest operator to the tightest.

    def condition(self) -> Predicate:
        """A condition, as long as it goes."""
        return self._as_condition(self._any)

    def expression(self) -> Expression:
        """An integer expression, as long as it goes."""
        return self._as_number(self._sum)

    def _any(self) -> Value:
        return self._junction("or", self._all, predicate.disjunction)

    def _all(self) -> Value:
        return self._junction("and", self._not, predicate.conjunction)

    def _junction(self, word: str, inner: Rule, build: Callable[..., Predicate]) -> Value:
        start = self.next.offset
        value = inner()
        if self.next.text != word:
            return value
        parts = [self._condition_since(start, value)]
        while self.take(word):
            parts.append(self._as_condition(inner))
        return build(*parts)

    def _not(self) -> Value:
        if self.take("not"):
            with self._nested():
                return predicate.negate(self._as_condition(self._not))
        return self._comparison()

    def _comparison(self) -> Value:
        start = self.next.offset
        value = self._sum()
        if self.next.text not in _RELATIONS:
            return value
        left, parts = self._number_since(start, value), []
        while relation := self.take(*_RELATIONS):
            right = self.expression()
            parts.append(predicate.compare(cast(Relation, relation.text), left, right))
            left = right
        return predicate.conjunction(*parts)

    def _sum(self) -> Value:
        return self._operation(("+", "-"), self._product)

    def _product(self) -> Value:
        return self._operation(("*", "//", "%"), self._unary)

    def _operation(self, signs: tuple[predicate.Sign, ...], inner: Rule) -> Value:
        start = self.next.offset
        value = inner()
        while self.next.text in signs:
            left = self._number_since(start, value)
            sign = self.next.text
            self._position += 1
            offset = self.next.offset
            right = self._as_number(inner)
            try:
                value = predicate.arithmetic(sign, left, right)
            except ZeroDivisionError:
                self.fail_from(offset, "CG417", "this divisor is 0")
        return value

    def _unary(self) -> Value:
        if self.take("-"):
            with self._nested():
                return predicate.minus(self._as_number(self._unary))
        return self._atom()

    def _atom(self) -> Value:
        token = self.next
        if self.take("("):
            with self._nested():
                value = self._any()
                if not self.take(")"):
                    self.unexpected("`)`")
            return value
        if token.kind not in ("name", "number") or token.text in RESERVED - FUNCTIONS.keys():
            self.unexpected("an index, a number or `(`")
        self._position += 1
        if token.kind == "number":
            if token.length > MAX_DIGITS:
                self.fail("CG416", f"this number has more than {MAX_DIGITS} digits", token.offset, token.length)
            return Constant(int(token.text))
        if self.take("("):
            return self._call(token)
        if token.text in FUNCTIONS:
            self.fail("CG416", f"`{token.text}` is a function", token.offset, token.length, f"write `{token.text}(…)`")
        self.uses.append(token)
        return Index(token.text)

    def _call(self, name: Token) -> Expression:
        if name.text not in FUNCTIONS:
            near = nearest(name.text, FUNCTIONS)
            help = f"did you mean `{near}`?" if near else "there are `abs`, `min` and `max`"
            self.fail("CG416", f"unknown function `{name.text}`", name.offset, name.length, help)
        with self._nested():
            arguments = [self.expression()]
            while self.take(","):
                arguments.append(self.expression())
            if not self.take(")"):
                self.unexpected("`,` or `)`")
        least, most = FUNCTIONS[name.text]
        if not least <= len(arguments) <= most:
            wanted = "one argument" if most == 1 else f"{least} to {most} arguments"
            self.fail_from(name.offset, "CG416", f"`{name.text}` takes {wanted}, not {len(arguments)}")
        return predicate.function(cast(FunctionName, name.text), *arguments)

    # --- Conditions are not numbers: what was read must be of the kind that is needed.

    def _as_condition(self, rule: Rule) -> Predicate:
        start = self.next.offset
        return self._condition_since(start, rule())

    def _as_number(self, rule: Rule) -> Expression:
        start = self.next.offset
        return self._number_since(start, rule())

    def _condition_since(self, start: int, value: Value) -> Predicate:
        if not isinstance(value, Predicate):
            if self.next.text in _INSTEAD:
                self.unexpected("a comparison")
            self.fail_from(start, "CG416", "this is a number, where a condition is needed", "compare it with something")
        return value

    def _number_since(self, start: int, value: Value) -> Expression:
        if not isinstance(value, Expression):
            self.fail_from(start, "CG416", "this is a condition, where a number is needed")
        return value

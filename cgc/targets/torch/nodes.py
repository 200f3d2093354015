"""Node laws as classes: expectation, draw, log-likelihood, most probable state.

``sample`` draws features, which is what children see; ``draw`` draws states, where these differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cgc.derive.derivation import Derivation, Draw, Labels, Sampling
from cgc.families.forms import Indicators, Noise, Y
from cgc.formula.numeric import constant
from cgc.formula.scalar import Op, Over, Scalar, Var
from cgc.program.ir import Layer
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.names import distinct
from cgc.targets.torch.scalar import column, number_text, print_function


def law_class(
    name: str,
    law: Derivation,
    users: Sequence[Layer],
    several: bool,
    moments: bool = False,
    variances: bool = True,
    checked: bool = False,
) -> tuple[Class, tuple[str, ...]]:
    """The class of a law called ``name``, for the layers ``users``, and the passages that it needs.

    ``several``: in this module some hidden nodes have features that are not their states, so that every hidden law tells its axis.
    ``moments``: mean and variance for energies N(m, v) are asked for; with ``variances``, also the variance for known energies.
    ``checked``: what is scored is known to be states.
    """
    hidden, output = any(not layer.output for layer in users), any(layer.output for layer in users)
    attributes: list[str] = []
    if hidden and not law.deterministic:
        attributes.append(f"discrete = {law.discrete}")
    if isinstance(law.sampling, Labels):
        many = any(layer.size > 1 for layer in users)
        helpers = ("softened",) if moments else ()
        return _label_class(name, law, many, hidden, output, attributes, moments, variances), helpers
    if several and hidden and not law.deterministic:
        attributes.append("axis = None")
    writer = _Law(law)
    methods = [writer.method("expectation(self, e: Tensor) -> Tensor", law.computed)]
    if moments:
        methods += writer.moments(variances)
    if not law.deterministic:
        methods += writer.draws(law.sampling)
    if output:
        if law.log_likelihood is not None:
            score = writer.method("log_prob(self, x: Tensor, e: Tensor) -> Tensor", law.log_likelihood)
            check = () if checked else _check_states(law.sampling)
            writer.helpers |= {line.partition("(")[0] for line in check}
            methods.append(replace(score, body=(*check, *score.body)))
            methods += [writer.mixed_log_prob()] if moments else []
        methods.append(writer.mode())
    if moments:
        methods = [method.fitted() for method in methods]
    attributes += writer.columns()
    return Class(name, "", _doc(law), tuple(attributes), tuple(methods)), tuple(sorted(writer.helpers))


class _Law:
    """Writes the methods of one law; remembers the passages and the columns of tables that they need."""

    def __init__(self, law: Derivation) -> None:
        self.law = law
        self.helpers: set[str] = set()
        self.tables: dict[tuple[Scalar, ...], str] = {}

    def method(self, signature: str, scalar: Scalar, tensor: str = "e") -> Function:
        printed = print_function(scalar, self.law.names, tensor, self.tables)
        self.helpers.update(printed.helpers)
        if printed.wide:
            self.helpers.add("widened")
        return Function(signature, printed.lines, decorator="widened" if printed.wide else "")

    def moments(self, variances: bool) -> list[Function]:
        """``moments``: a closed form, or quadrature over ``expectation`` (or ``exact``, where that is approximate) and ``variance``."""
        assert self.law.moments is not None
        mean, variance = self.law.moments
        signature, doc = "moments(self, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]", ("Mean and variance where e ~ N(m, v).",)
        methods = [self.method("variance(self, e: Tensor) -> Tensor", self.law.variance)] if variances or _averages(mean) else []
        if _averages(mean):
            return [*methods, *self.over_energies(mean, Function(signature, (), doc))]
        first, second = (print_function(tree, tensor="m", tables=self.tables) for tree in (mean, _known(variance, mean, "mean")))
        self.helpers.update(first.helpers, second.helpers)
        if len(first.lines) == len(second.lines) == 1 and "mean" not in second.lines[0]:
            line = f"{first.lines[0]}, {second.lines[0].removeprefix('return ')}"
            return [*methods, Function(signature, (line,), doc)]
        lines = [*first.lines[:-1], first.lines[-1].replace("return ", "mean = ", 1)]
        lines += [*second.lines[:-1], second.lines[-1].replace("return ", "variance = ", 1), "return mean, variance"]
        return [*methods, Function(signature, tuple(lines), doc)]

    def over_energies(self, mean: Scalar, method: Function) -> list[Function]:
        """``method`` by the rule in ``mean``; before it ``exact``, where ``expectation`` is approximate."""
        assert isinstance(mean, Over)
        self.helpers.add("over_energies")
        columns = ", ".join(f"self.{self.table(rows, name)}" for name, rows in mean.columns)
        if self.law.computed == self.law.expectation:
            return [replace(method, body=(f"return over_energies(self.expectation, self.variance, m, v, {columns})",))]
        exact = self.method("exact(self, e: Tensor) -> Tensor", self.law.expectation)
        return [exact, replace(method, body=(f"return over_energies(self.exact, self.variance, m, v, {columns})",))]

    def table(self, rows: tuple[Scalar, ...], wanted: str) -> str:
        """The attribute that holds a column."""
        return self.tables.setdefault(rows, distinct(wanted, set(self.tables.values()), "_"))

    def mixed_log_prob(self) -> Function:
        """The likelihood of a state for an energy N(m, v): for Gaussian nodes in closed form."""
        signature = "mixed_log_prob(self, x: Tensor, m: Tensor, v: Tensor) -> Tensor"
        law = self.law.law
        if isinstance(law, Noise) and law.base == "normal" and law.value == Y and law.scale.is_number:
            lines = ("_, v = self.moments(m, v)", "return -(x - m).square() / (2 * v) - torch.log(2 * math.pi * v) / 2")
            return Function(signature, lines, ("log of the mean likelihood over e ~ N(m, v).",))
        self.helpers.add("mixed_likelihood")
        return Function(signature, ("return mixed_likelihood(self, x, m, v)",))

    def columns(self) -> list[str]:
        """The tables as class attributes."""
        lines: list[str] = []
        for rows, name in self.tables.items():
            lines += column(name, [constant(row) or 0.0 for row in rows])
        return lines

    def draws(self, sampling: Sampling) -> list[Function]:
        """``sample`` draws features; where these are not the states, ``draw`` draws those."""
        assert isinstance(sampling, Draw)
        if self.law.statistic is None:
            return [self.draw("sample(self, e: Tensor) -> Tensor", sampling)]
        states = self.draw("draw(self, e: Tensor) -> Tensor", sampling)
        printed = print_function(self.law.statistic, tensor="x", tables=self.tables)
        self.helpers.update(printed.helpers)
        features = Function("sample(self, e: Tensor) -> Tensor", ("x = self.draw(e)", *printed.lines))
        return [states, features]

    def draw(self, signature: str, sampling: Draw) -> Function:
        """What is drawn once comes first, on lines of its own."""
        lines: list[str] = []
        for name, drawn in sampling.given:
            printed = print_function(drawn, tensor="e", tables=self.tables, plain=True)
            self.helpers.update(printed.helpers)
            lines += [*printed.lines[:-1], printed.lines[-1].replace("return ", f"{name} = ", 1)]
        value = print_function(sampling.value, (), sampling.given[-1][0] if sampling.given else "e", self.tables, plain=True)
        self.helpers.update(value.helpers)
        return Function(signature, (*lines, *value.lines))

    def mode(self) -> Function:
        """The most probable state."""
        if self.law.mode is None:
            return Function(
                "mode(self, e: Tensor) -> Tensor", ("return self.expectation(e)",), ("For a continuous node, its expectation.",)
            )
        return replace(self.method("mode(self, e: Tensor) -> Tensor", self.law.mode), decorator="")


def _averages(mean: Scalar) -> bool:
    """Whether a mean over energies is a quadrature rule over ``node``."""
    return isinstance(mean, Over) and mean.name == "sum" and tuple(name for name, _ in mean.columns) == ("node", "share")


def _known(scalar: Scalar, part: Scalar, name: str) -> Scalar:
    """``scalar`` with the variable ``name`` in place of ``part``."""
    if scalar == part:
        return Var(name)
    if isinstance(scalar, Op):
        return Op(scalar.name, tuple(_known(argument, part, name) for argument in scalar.args))
    return scalar


def _check_states(sampling: Sampling) -> tuple[str, ...]:
    """Lines that refuse what is no state of a finite law; where labels are no indices, torch does."""
    if not isinstance(sampling, Draw) or not sampling.states:
        return ()
    text = ", ".join(number_text(float(state.value)) for state in sampling.states)
    if len(text) > 60:
        numbers = [state.value for state in sampling.states]
        if numbers == list(range(len(numbers))):
            last = len(numbers) - 1
            return (f'require((x == x.round()) & (x >= 0) & (x <= {last}), "states must be one of 0, 1, ..., {last}")',)
    if sorted(state.value for state in sampling.states) == [0, 1]:
        return (f'require_binary(x, "states must be one of {text}")',)
    # a comparison for each of a few is faster than to look them up
    few = " | ".join(f"(x == {number_text(float(state.value))})" for state in sampling.states)
    known = f"({few})" if len(sampling.states) <= 4 and len(few) < 70 else f"torch.isin(x, x.new_tensor([{text}]))"
    return (f'require({known.removeprefix("(").removesuffix(")") if "|" in known else known}, "states must be one of {text}")',)


def state_draw(law: Derivation) -> str:
    """The method that draws states: features and states are the same unless there is a statistic, or labels."""
    return "draw" if law.statistic is not None or isinstance(law.sampling, Labels) else "sample"


def _doc(law: Derivation) -> tuple[str, ...]:
    first = f"{law.density}  ({_source(law)})"
    mean = f"E[{'X' if law.statistic is None else 'T(X)'} | e] = {law.expectation_text}"
    if isinstance(law.sampling, Labels):
        mean = f"E[1[X = k] | e] = {law.expectation_text}"
    if law.numeric is not None:
        rule = f"by {law.numeric.rule}: off by at most {law.numeric.error:.2g} of its size"
        return (*wrapped(first), *wrapped(mean), *wrapped(rule))
    if law.approximation is None:
        short = f"{law.density}: {mean}  ({_source(law)})"
        return (short,) if len(short) <= 106 else (*wrapped(first), *wrapped(mean))
    near = law.approximation
    if near.max_error == 0:
        return (*wrapped(first), *wrapped(f"{mean}, which is {near.name}"))
    error = f"computed as {near.name}, {near.text}: off by at most {near.max_error:.6g} at {near.where}"
    return (*wrapped(first), *wrapped(mean), *wrapped(error))


def _source(law: Derivation) -> str:
    sources = [step.source for step in law.steps if step.source]
    return sources[0] if sources else "eq. 7"


def _label_class(
    name: str, law: Derivation, many: bool, hidden: bool, output: bool, attributes: list[str], moments: bool, variances: bool
) -> Class:
    """``many``: some users have several nodes, so that the labels' axis is an argument."""
    assert isinstance(law.law, Indicators)
    axis = "self.axis" if many else "-1"
    to_last, from_last = (f".movedim({axis}, -1)", f".movedim(-1, {axis})") if many else ("", "")
    methods = []
    if many:
        methods.append(Function("__init__(self, axis: int = -1) -> None", ("self.axis = axis",)))
    elif hidden:
        attributes.append("axis = -1")
    methods.append(Function("expectation(self, e: Tensor) -> Tensor", (f"return torch.softmax(e, {axis})",)))
    if moments and variances:
        methods.append(Function("variance(self, e: Tensor) -> Tensor", ("q = self.expectation(e)", "return q * (1 - q)")))
    if moments:
        body = ("q = self.expectation(softened(m, v))", "return q, q * (1 - q)")
        doc = ("Nearly mean and variance where e ~ N(m, v), every label taken on its own.",)
        methods.append(Function("moments(self, m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]", body, doc))
    methods.append(Function("draw(self, e: Tensor) -> Tensor", (f"return torch.distributions.Categorical(logits=e{to_last}).sample()",)))
    if hidden:
        features = f"return F.one_hot(self.draw(e), {law.law.labels}){from_last}.to(e.dtype)"
        methods.append(Function("sample(self, e: Tensor) -> Tensor", (features,)))
    if output:
        lines: tuple[str, ...] = (
            f"log_p = torch.log_softmax(e, {axis}){to_last}",
            "return log_p.gather(-1, x.expand(log_p.shape[:-1]).unsqueeze(-1)).squeeze(-1)",
        )
        if not many:
            lines = ("return torch.log_softmax(e, -1).gather(-1, x.expand(e.shape[:-1]).unsqueeze(-1)).squeeze(-1)",)
        methods.append(Function("log_prob(self, x: Tensor, e: Tensor) -> Tensor", lines))
        if moments:
            signature = "mixed_log_prob(self, x: Tensor, m: Tensor, v: Tensor) -> Tensor"
            methods.append(Function(signature, ("return self.log_prob(x, softened(m, v))",)))
    return Class(name, "", _doc(law), tuple(attributes), tuple(methods))

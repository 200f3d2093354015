"""Node laws as classes: expectation, draw, log-likelihood, most probable state.

``sample`` draws features, which is what children see; ``draw`` draws states, where these differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cgc.derive.derivation import Derivation, Labels, Latent, Sampling, States, TwoStates
from cgc.families.forms import Indicators
from cgc.formula.numeric import constant
from cgc.formula.scalar import Const, Op, Scalar, Var
from cgc.program.ir import Layer
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.scalar import number_text, print_expression, print_function

_NOISE = {"normal": "torch.randn_like(e)", "logistic": "torch.logit(torch.rand_like(e), eps=torch.finfo(e.dtype).eps / 4)"}


def law_class(name: str, law: Derivation, users: Sequence[Layer], several: bool) -> tuple[Class, tuple[str, ...]]:
    """The class of a law called ``name``, for the layers ``users``, and the helper functions that it calls.

    ``several``: in this module some hidden nodes have features that are not their states, so that every hidden law tells its axis.
    """
    helpers: set[str] = set()
    hidden, output = any(not layer.output for layer in users), any(layer.output for layer in users)

    def function(signature: str, scalar: Scalar) -> Function:
        printed = print_function(scalar, law.names)
        helpers.update(printed.helpers)
        return Function(signature, printed.lines)

    attributes: list[str] = []
    if hidden and not law.deterministic:
        attributes.append(f"discrete = {law.discrete}")
    sampling = law.sampling
    if isinstance(sampling, Labels):
        return _label_class(name, law, any(layer.size > 1 for layer in users), hidden, output, attributes), ()
    if several and hidden and not law.deterministic:
        attributes.append("axis = None")
    methods = [function("expectation(self, e: Tensor) -> Tensor", law.computed)]
    draw = "sample" if law.statistic is None else "draw"
    match sampling:
        case Latent(scale=None):
            pass
        case Latent():
            methods.append(_latent_draw(sampling, helpers, draw))
        case TwoStates():
            methods.append(_two_state_draw(sampling, helpers, draw))
        case States():
            methods.append(_state_draw(sampling, helpers, draw))
    if law.statistic is not None:
        printed = print_expression(law.statistic, "x")
        helpers.update(printed.helpers)
        methods.append(Function("sample(self, e: Tensor) -> Tensor", ("x = self.draw(e)", f"return {printed.lines[0]}")))
    if output:
        if law.log_likelihood is not None:
            score = function("log_prob(self, x: Tensor, e: Tensor) -> Tensor", law.log_likelihood)
            methods.append(replace(score, body=(*_check_states(sampling), *score.body)))
        methods.append(_most_probable(law, helpers))
    return Class(name, "", _doc(law), tuple(attributes), tuple(methods)), tuple(sorted(helpers))


def _check_states(sampling: Sampling) -> tuple[str, ...]:
    """Lines that refuse what is no state of a finite law; where labels are no indices, torch does."""
    match sampling:
        case TwoStates(low, high):
            states: tuple[Const, ...] = (low, high)
        case States():
            states = sampling.states
        case _:
            return ()
    text = ", ".join(number_text(float(state.value)) for state in states)
    return (
        f"if not torch.compiler.is_compiling() and not torch.isin(x, x.new_tensor([{text}])).all():",
        f'    raise ValueError("states must be one of {text}")',
    )


def state_draw(law: Derivation) -> str:
    """The method that draws states: features and states are the same unless there is a statistic, or labels."""
    return "draw" if law.statistic is not None or isinstance(law.sampling, Labels) else "sample"


def _doc(law: Derivation) -> tuple[str, ...]:
    first = f"{law.density}  ({_source(law)})"
    mean = f"E[{'X' if law.statistic is None else 'T(X)'} | e] = {law.expectation_text}"
    if isinstance(law.sampling, Labels):
        mean = f"E[1[X = k] | e] = {law.expectation_text}"
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


def _two_state_draw(sampling: TwoStates, helpers: set[str], draw: str) -> Function:
    low, high = sampling.low.value, sampling.high.value
    printed = print_expression(sampling.probability)
    helpers.update(printed.helpers)
    coin = f"torch.bernoulli({printed.lines[0]})"
    span = number_text(float(high - low))
    scaled = coin if high - low == 1 else f"{span} * {coin}"
    shift = "" if low == 0 else f" + {number_text(float(low))}" if low > 0 else f" - {number_text(float(-low))}"
    return Function(f"{draw}(self, e: Tensor) -> Tensor", (f"return {scaled}{shift}",))


def _weights(sampling: States, helpers: set[str]) -> tuple[str, str]:
    stacked = [print_function(weight) for weight in sampling.log_weights]
    for printed in stacked:
        helpers.update(printed.helpers)
    terms = ", ".join(printed.lines[-1].removeprefix("return ") for printed in stacked)
    states = ", ".join(number_text(float(state.value)) for state in sampling.states)
    return f"log_weights = torch.stack([{terms}], -1)", f"states = e.new_tensor([{states}])"


def _state_draw(sampling: States, helpers: set[str], draw: str) -> Function:
    weights, states = _weights(sampling, helpers)
    drawn = "return states[torch.distributions.Categorical(logits=log_weights).sample()]"
    return Function(f"{draw}(self, e: Tensor) -> Tensor", (weights, states, drawn))


def _latent_draw(sampling: Latent, helpers: set[str], draw: str) -> Function:
    assert sampling.scale is not None
    scale = print_expression(sampling.scale)
    helpers.update(scale.helpers)
    number = constant(sampling.scale)
    noise = _NOISE[sampling.base]
    if number != 1:
        factor = scale.lines[0] if number is not None or scale.lines[0].endswith(")") else f"({scale.lines[0]})"
        noise = f"{factor} * {noise}"
    if sampling.value == Var("y"):
        return Function(f"{draw}(self, e: Tensor) -> Tensor", (f"return e + {noise}",))
    value = print_function(sampling.value, tensor="y")
    helpers.update(value.helpers)
    return Function(f"{draw}(self, e: Tensor) -> Tensor", (f"y = e + {noise}", *value.lines))


def _most_probable(law: Derivation, helpers: set[str]) -> Function:
    signature = "mode(self, e: Tensor) -> Tensor"
    match law.sampling:
        case TwoStates(low, high, probability):
            # σ(u) >= 1/2 where u >= 0
            odds = probability.args[0] if isinstance(probability, Op) and probability.name == "sigmoid" else probability
            printed = print_expression(odds)
            helpers.update(printed.helpers)
            states = f"{number_text(float(high.value))}, {number_text(float(low.value))}"
            return Function(signature, (f"return torch.where({printed.lines[0]} >= 0, {states}).to(e.dtype)",))
        case States():
            weights, states = _weights(law.sampling, helpers)
            return Function(signature, (weights, states, "return states[log_weights.argmax(-1)]"))
        case _:
            return Function(signature, ("return self.expectation(e)",), ("For a continuous node, its expectation.",))


def _label_class(name: str, law: Derivation, many: bool, hidden: bool, output: bool, attributes: list[str]) -> Class:
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
    return Class(name, "", _doc(law), tuple(attributes), tuple(methods))

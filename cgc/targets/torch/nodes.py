"""Node laws as classes: expectation, draw, log-likelihood, most probable state."""

from __future__ import annotations

from cgc.derive.derivation import Derivation, Labels, Latent, States, TwoStates
from cgc.families.forms import Indicators
from cgc.formula.numeric import constant
from cgc.formula.scalar import Op, Scalar, Var
from cgc.targets.torch.code import Class, Function, wrapped
from cgc.targets.torch.scalar import number_text, print_expression, print_function

_NOISE = {"normal": "torch.randn_like(e)", "logistic": "torch.logit(torch.rand_like(e), eps=torch.finfo(e.dtype).eps / 4)"}


def node_class(name: str, law: Derivation, labels_axis: bool, output: bool) -> tuple[Class, tuple[str, ...]]:
    """The class of a law called ``name`` and the helper functions that it calls.

    ``labels_axis``: some component of this law has several nodes, so labels stand on the last axis but one.
    ``output``: the likelihood and the most probable state are wanted.
    """
    helpers: set[str] = set()

    def function(signature: str, scalar: Scalar) -> Function:
        printed = print_function(scalar, law.names)
        helpers.update(printed.helpers)
        return Function(signature, printed.lines)

    sampling = law.sampling
    if isinstance(sampling, Labels):
        return _label_class(name, law, labels_axis, output), ()
    methods = [function("expectation(self, e: Tensor) -> Tensor", law.computed)]
    attributes: tuple[str, ...] = ()
    if isinstance(sampling, Latent):
        if sampling.scale is None:
            methods.append(Function("sample(self, e: Tensor) -> Tensor", ("return self.expectation(e)",)))
        else:
            methods.append(_latent_draw(sampling, helpers))
        if not law.discrete or law.deterministic:
            attributes = ("discrete = False",)
    elif isinstance(sampling, TwoStates):
        methods.append(_two_state_draw(sampling, helpers))
    else:
        methods.append(_state_draw(sampling, helpers))
    if law.statistic is not None:
        printed = print_expression(law.statistic, "x")
        helpers.update(printed.helpers)
        methods.append(Function("features(self, x: Tensor) -> Tensor", (f"return {printed.lines[0]}",)))
    if output:
        if law.log_likelihood is not None:
            methods.append(function("log_prob(self, x: Tensor, e: Tensor) -> Tensor", law.log_likelihood))
        methods.append(_most_probable(law, helpers))
    return Class(name, "Node", _doc(law), attributes, tuple(methods)), tuple(sorted(helpers))


def _doc(law: Derivation) -> tuple[str, ...]:
    first = f"{law.density}  (paper, {_source(law)})"
    mean = f"E[{'X' if law.statistic is None else 'T(X)'} | e] = {law.expectation_text}"
    if law.approximation is None:
        return (*wrapped(first), *wrapped(mean))
    near = law.approximation
    if near.max_error == 0:
        return (*wrapped(first), *wrapped(f"{mean}, which is {near.name}"))
    error = f"computed as {near.name}, {near.text}: off by at most {near.max_error:.6g} at {near.where}"
    return (*wrapped(first), *wrapped(mean), *wrapped(error))


def _source(law: Derivation) -> str:
    sources = [step.source for step in law.steps if step.source]
    return sources[0] if sources else "eq. 7"


def _two_state_draw(sampling: TwoStates, helpers: set[str]) -> Function:
    low, high = sampling.low.value, sampling.high.value
    printed = print_expression(sampling.probability)
    helpers.update(printed.helpers)
    coin = f"torch.bernoulli({printed.lines[0]})"
    span = number_text(float(high - low))
    scaled = coin if high - low == 1 else f"{span} * {coin}"
    shift = "" if low == 0 else f" + {number_text(float(low))}" if low > 0 else f" - {number_text(float(-low))}"
    return Function("sample(self, e: Tensor) -> Tensor", (f"return {scaled}{shift}",))


def _weights(sampling: States, helpers: set[str]) -> tuple[str, str]:
    stacked = [print_function(weight) for weight in sampling.log_weights]
    for printed in stacked:
        helpers.update(printed.helpers)
    terms = ", ".join(printed.lines[-1].removeprefix("return ") for printed in stacked)
    states = ", ".join(number_text(float(state.value)) for state in sampling.states)
    return f"log_weights = torch.stack([{terms}], -1)", f"states = e.new_tensor([{states}])"


def _state_draw(sampling: States, helpers: set[str]) -> Function:
    weights, states = _weights(sampling, helpers)
    draw = "return states[torch.distributions.Categorical(logits=log_weights).sample()]"
    return Function("sample(self, e: Tensor) -> Tensor", (weights, states, draw))


def _latent_draw(sampling: Latent, helpers: set[str]) -> Function:
    assert sampling.scale is not None
    scale = print_expression(sampling.scale)
    helpers.update(scale.helpers)
    number = constant(sampling.scale)
    noise = _NOISE[sampling.base]
    if number != 1:
        factor = scale.lines[0] if number is not None or scale.lines[0].endswith(")") else f"({scale.lines[0]})"
        noise = f"{factor} * {noise}"
    if sampling.value == Var("y"):
        return Function("sample(self, e: Tensor) -> Tensor", (f"return e + {noise}",))
    value = print_function(sampling.value, tensor="y")
    helpers.update(value.helpers)
    return Function("sample(self, e: Tensor) -> Tensor", (f"y = e + {noise}", *value.lines))


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


def _label_class(name: str, law: Derivation, labels_axis: bool, output: bool) -> Class:
    assert isinstance(law.law, Indicators)
    axis = "self.axis" if labels_axis else "-1"
    methods = [
        Function("expectation(self, e: Tensor) -> Tensor", (f"return torch.softmax(e, {axis})",)),
        Function(
            "sample(self, e: Tensor) -> Tensor",
            (f"return torch.distributions.Categorical(logits=e.movedim({axis}, -1)).sample()",),
        ),
        Function("features(self, x: Tensor) -> Tensor", (f"return F.one_hot(x, {law.law.labels}).movedim(-1, {axis})",)),
        Function("coin(self, q: Tensor) -> Tensor", (f"return torch.rand_like(q.narrow({axis}, 0, 1))",)),
    ]
    if output:
        methods.append(
            Function(
                "log_prob(self, x: Tensor, e: Tensor) -> Tensor",
                (f"return torch.take_along_dim(torch.log_softmax(e, {axis}), x.unsqueeze({axis}), {axis}).squeeze({axis})",),
            )
        )
        methods.append(Function("mode(self, e: Tensor) -> Tensor", (f"return e.argmax({axis})",)))
    if labels_axis:
        methods.insert(0, Function("__init__(self, axis: int = -1) -> None", ("super().__init__()", "self.axis = axis")))
    return Class(name, "Node", _doc(law), (), tuple(methods))

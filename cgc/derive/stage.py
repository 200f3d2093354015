"""The derivation stage on a whole spec: one derivation per family in use, and what roles demand of it."""

from __future__ import annotations

from dataclasses import dataclass

from cgc.derive.derivation import Derivation, Refusal
from cgc.derive.limit import begin, derive_within
from cgc.derive.scale import scale_of
from cgc.families.forms import Noise
from cgc.source.diagnostics import Diagnostic, Label, SpecError
from cgc.spec.model import Component, Family, Spec


@dataclass(frozen=True)
class Derivations:
    """Derivations by family name, in the order in which components use them. Families alike share the first one's name (``canonical``)."""

    by_family: tuple[tuple[str, Derivation], ...]
    canonical: tuple[tuple[str, str], ...]
    diagnostics: tuple[Diagnostic, ...] = ()

    def of(self, component: Component) -> Derivation:
        """The derivation of the component's family."""
        return dict(self.by_family)[dict(self.canonical)[component.family]]


def begin_deriving(spec: Spec) -> bool:
    """Sets processes to work on what :func:`derive_spec` will ask for, and says whether anything is new."""
    return begin([(family.law, family.emit, family.closed) for family in spec.families])


def derive_spec(spec: Spec) -> Derivations:
    """Derive every family that a component uses. Raises SpecError with all findings."""
    derived: dict[str, Derivation] = {}
    canonical: dict[str, str] = {}
    known: dict[tuple[object, str | None, bool], str] = {}
    findings: list[Diagnostic] = []
    used = [family for family in spec.families if any(c.family == family.name for c in spec.components)]
    # an alias has the same content: the family that was declared first gives its name; a nameless one is called after its kind
    inline = {component.name for component in spec.components}
    for family in sorted(spec.families, key=lambda family: family.name in inline):
        name = family.name if family.name not in inline or family.kind in known.values() else family.kind
        known.setdefault((family.law, family.emit, family.closed), name)
    # also what no component uses: a mistake is a mistake
    wanted = [f for f in spec.families if known[f.law, f.emit, f.closed] == f.name or f in used]
    for family in wanted:
        try:
            derivation = derive_within(family.law, family.emit, family.closed)
        except Refusal as refusal:
            findings.append(refused(refusal, family))
            continue
        if family not in used:
            continue
        name = known[family.law, family.emit, family.closed]
        canonical[family.name] = name
        derived[name] = derivation
    for component in spec.components:
        if component.role == "output" and component.family in canonical:
            findings += _output(component, spec.family(component.family), derived[canonical[component.family]])
    warnings = _warnings(spec, derived, canonical)
    if findings:
        raise SpecError(*findings, *warnings)
    return Derivations(tuple(derived.items()), tuple(canonical.items()), tuple(warnings))


def refused(refusal: Refusal, family: Family) -> Diagnostic:
    """A refusal at the field of the family that is at fault."""
    span = family.place(refusal.field) if refusal.field else family.span
    if refusal.field == "std" and "std" not in dict(family.fields):
        span = family.place("scale")
    return Diagnostic(refusal.code, refusal.message, span, why=refusal.why, help=refusal.help)


def _output(component: Component, family: Family, derivation: Derivation) -> list[Diagnostic]:
    """An output needs a likelihood, and one that is never singular."""
    if isinstance(family.law, Noise):
        vanishes = scale_of(family.law).vanishes_at
        if vanishes is not None:
            place = family.place("std" if "std" in dict(family.fields) else "scale")
            return [
                Diagnostic(
                    "CG510",
                    f"the likelihood of output `{component.name}` is singular: its std vanishes at e = {vanishes:.3g}",
                    component.span,
                    others=() if place.line == component.span.line else (Label(place, "this std"),),
                    why="training maximises the likelihood, which grows without bound there",
                    help="give the family a smallest value, such as `std_min: 0.1`, or a std that stays positive",
                )
            ]
    if derivation.log_likelihood is None:
        message = f"output `{component.name}` has no likelihood: {derivation.no_likelihood}"
        return [Diagnostic("CG511", message, component.span, help="use a family whose states have a probability or a density")]
    return []


def _warnings(spec: Spec, derived: dict[str, Derivation], canonical: dict[str, str]) -> list[Diagnostic]:
    """Discrete nodes that are all sampled and pass no gradient cannot be trained (paper, section 5)."""
    inference = spec.train_inference
    if inference.method == "feed_forward" or inference.gradient != "block":
        return []
    rates = dict(inference.sample_rates)
    stuck = [
        component.name
        for component in spec.components
        if component.role == "hidden"
        and component.family in canonical
        and derived[canonical[component.family]].discrete
        and not derived[canonical[component.family]].deterministic
        and (inference.method == "sample" or rates.get(component.name, 0.0 if rates else inference.sample_rate) == 1)
    ]
    if not stuck:
        return []
    names = ", ".join(f"`{name}`" for name in stuck)
    return [
        Diagnostic(
            "CG520",
            f"no gradient passes the nodes of {names}: every one is sampled, and a discrete draw has no gradient",
            inference.span,
            why="with `gradient: block` a sampled discrete node blocks the gradient (paper, section 5)",
            help="use `gradient: straight_through`, or a sample_rate below 1",
            severity="warning",
        )
    ]

"""``cgc derive``."""

from __future__ import annotations

import click

from cgc.cli.shared import json_option, params_option, print_json


@click.command()
@click.argument("families", nargs=-1, metavar="[FAMILY]...")
@click.option("--activation", metavar="EXPR", help="Which node has this expectation? An expression in e.")
@click.option("--emit", metavar="NAME", help="The named approximation to measure.")
@click.option("--steps", is_flag=True, help="Print every derivation step, with equation numbers of the paper.")
@click.option("--latex", is_flag=True, help="Print the steps' formulas as LaTeX.")
@click.option("--closest", is_flag=True, help="Rank the known activations by their largest error.")
@click.option("--fit", metavar="FIELD", help="Fit a number of the family to the activation that --to names.")
@click.option("--to", metavar="NAME", help="The activation that --fit is for.")
@click.option("--code", is_flag=True, help="Print the emitted torch class.")
@click.option("--plot", metavar="FILE", help="Draw exact and sampled activation (.svg, .png, .pdf).")
@click.option("--samples", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Draws per energy for --plot.")
@params_option
@json_option
def command(
    families: tuple[str, ...], activation: str | None, emit: str | None, steps: bool, latex: bool, closest: bool, fit: str | None,
    to: str | None, code: bool, plot: str | None, samples: int, params: tuple[tuple[str, str], ...], as_json: bool,
) -> None:  # fmt: skip
    """What follows from a family, without a spec: `cgc derive '{kind: noise, base: laplace, value: "max(0, y)"}'`."""
    if (activation is None) == (not families):
        raise click.UsageError("Give a FAMILY, or --activation.")
    if (fit is None) != (to is None):
        raise click.UsageError("--fit and --to go together.")
    if activation is not None:
        _invert(activation, steps, latex, as_json)
        return
    from cgc.derived import derive_all
    from cgc.formula.parse import FormulaError, evaluate

    try:
        numbers = {name: evaluate(text, {}) for name, text in params}
    except FormulaError as error:
        raise click.UsageError(f"-p: {error.message}.") from None
    if fit is not None and to is not None:
        _fit(families, fit, to, numbers, as_json)
        return
    found = derive_all(families, emit, numbers)
    if as_json:
        data = [item.data() for item in found]
        print_json(data[0] if len(data) == 1 else data)
    elif code:
        click.echo("\n\n".join(item.code() for item in found), nl=False)
    else:
        blocks = [item.text(steps or latex, latex) for item in found]
        if closest:
            from cgc.derive.closest import closest as ranking
            from cgc.report.law import ranking_text

            blocks += [ranking_text(ranking(item.law.expectation, limits=item.law.limits)) for item in found]
        click.echo("\n\n".join(blocks))
    if plot is not None:
        from cgc.report.plot import plot as draw

        draw(found, plot, samples)


def _invert(activation: str, steps: bool, latex: bool, as_json: bool) -> None:
    from cgc.derived import invert_text
    from cgc.report.law import inverse_text

    found = invert_text(activation)
    if as_json:
        print_json({
            "kind": found.kind, "family": found.family, "block": found.block, "notes": list(found.notes),
            "steps": [{"reason": s.reason, "formula": s.text, "latex": s.latex} for s in found.steps],
        })  # fmt: skip
    else:
        click.echo(inverse_text(found, steps, latex))


def _fit(families: tuple[str, ...], field: str, to: str, numbers: dict[str, int | float], as_json: bool) -> None:
    from cgc.derived import fit_text as fitted
    from cgc.report.law import fit_text

    found = [fitted(family, field, to, numbers) for family in families]
    if as_json:
        print_json([
            {"field": f.field, "to": f.to, "value": f.value, "max_error": f.max_error, "at": [list(pair) for pair in f.at]} for f in found
        ])  # fmt: skip
    else:
        click.echo("\n\n".join(fit_text(item) for item in found))

"""Activations as pictures: the exact expectation, what is emitted for it, and the average of draws (the paper's Figure 1, right)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cgc.source.diagnostics import Diagnostic, SpecError

if TYPE_CHECKING:
    from cgc.derived import Derived

_SPAN = 4.0
_ENERGIES = 161


def plot(laws: Sequence[Derived], path: str | Path, samples: int = 200) -> None:
    """Write the picture; the file's ending says its format. The same bytes for the same laws. Raises SpecError without matplotlib."""
    try:
        import matplotlib
    except ImportError:
        raise SpecError(
            Diagnostic("CG701", "plots need matplotlib, which is not installed", None, help="pip install 'cgc[plot]'")
        ) from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    settings = {"svg.hashsalt": "cgc", "svg.fonttype": "none", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(settings):
        figure, axes = pyplot.subplots(figsize=(5.2, 3.6), layout="constrained")
        e = np.linspace(-_SPAN, _SPAN, _ENERGIES)
        for k, law in enumerate(laws):
            colour = f"C{k}"
            drawn = law.sample(e, samples).mean(0)
            axes.plot(e, drawn, ".", color=colour, markersize=3, alpha=0.5)
            axes.plot(e, law.expectation(e), color=colour, linewidth=1.5, label=_short(law.law.density))
            near = law.law.approximation
            if near is not None:
                axes.plot(e, law.computed(e), "--", color=colour, linewidth=1, label=f"{near.name}, off by at most {near.max_error:.3g}")
        axes.set_xlabel("energy e")
        axes.set_ylabel("E[X | e]")
        axes.set_title(f"lines: derived; dots: averages of {samples} draws", fontsize=9, loc="left")
        axes.legend(frameon=False, fontsize=7)
        metadata = {"Date": None} if str(path).endswith(".svg") else {}
        figure.savefig(path, metadata=metadata, dpi=150)
        pyplot.close(figure)


def _short(density: str) -> str:
    return density if len(density) <= 70 else density[:67] + "…"

"""How each system looks in every chart: colour, strokes and marker, drawn from palettes by position.

The colours are about as far from white as from black and distinct to the colour-blind. Strokes and markers differ too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from convlstm_cli.scoring.baselines import BASELINES, Baseline
from convlstm_cli.scoring.members.baseline import EnsembleBaseline
from convlstm_cli.scoring.members.baselines import ENSEMBLE_BASELINES
from convlstm_cli.scoring.systems import GUARDED, MEAN, MEMBERS, MODEL


@dataclass(frozen=True)
class Style:
    """How one system looks in every chart."""

    colour: str
    dashes: tuple[float, ...] = ()
    """Lengths of strokes and gaps in points; none is a solid line."""
    marker: str = "o"


MODEL_STYLE = Style("#2f7ed8")
GUARDED_STYLE = Style("#c2549a", marker="D")
MEMBERS_STYLE = Style("#dd5a1c", marker="s")
MEAN_STYLE = Style("#dd5a1c", (4, 1.5), "v")
BASELINE_STYLES = (
    Style("#868e98", (5, 2), "x"),
    Style("#a3812f", (6, 2, 1, 2), "+"),
    Style("#8f7cc0", (1.5, 1.5), "1"),
    Style("#5b9a57", (3, 1.5), "2"),
    Style("#b5707f", (8, 2, 2, 2), "3"),
    Style("#4f94a0", (2, 1), "4"),
)
ARM_STYLES = (
    Style("#2f7ed8", marker="o"),
    Style("#dd5a1c", marker="s"),
    Style("#119a6d", marker="^"),
    Style("#c2549a", marker="D"),
    Style("#94881f", marker="v"),
)

_REGISTRIES: tuple[Mapping[str, Baseline | EnsembleBaseline], ...] = (BASELINES, ENSEMBLE_BASELINES)


def system_styles() -> dict[str, Style]:
    """The looks of the model, of what is made of it and of every baseline, by their names in files."""
    own = {MEMBERS: MEMBERS_STYLE, MODEL: MODEL_STYLE, GUARDED: GUARDED_STYLE, MEAN: MEAN_STYLE}
    return own | _drawn([name for registry in _REGISTRIES for name in registry], BASELINE_STYLES)


def arm_styles(names: Sequence[str]) -> dict[str, Style]:
    """The looks of the arms of a comparison, in their order."""
    return _drawn(names, ARM_STYLES)


def system_labels() -> dict[str, str]:
    """What legends call the model, what is made of it and every baseline, by their names in files."""
    own = {MEMBERS: "members", MODEL: "forecast", GUARDED: "guarded forecast", MEAN: "mean of the members"}
    return own | {name: each.label for registry in _REGISTRIES for name, each in registry.items()}


def system_headings() -> dict[str, str]:
    """Short names for above columns and frames of what `system_labels` has."""
    own = {MEMBERS: "members", MODEL: "forecast", GUARDED: "guarded", MEAN: "mean"}
    return own | {name: each.heading for registry in _REGISTRIES for name, each in registry.items()}


def swatch(style: Style) -> str:
    """A piece of a system's line as SVG, for a legend."""
    dashes = f' stroke-dasharray="{" ".join(f"{length:g}" for length in style.dashes)}"' if style.dashes else ""
    return (
        f'<svg class="swatch" viewBox="0 0 22 6" aria-hidden="true">'
        f'<path d="M0 3H22" stroke="{style.colour}" stroke-width="{2 if dashes else 4}"{dashes} /></svg>'
    )


def _drawn(names: Iterable[str], palette: Sequence[Style]) -> dict[str, Style]:
    return {name: palette[position % len(palette)] for position, name in enumerate(names)}

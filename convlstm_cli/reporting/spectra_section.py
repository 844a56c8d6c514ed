"""The part of an evaluation's page on texture and flicker: spectra of members beside those of the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from convlstm_cli.reporting.drawing import INK
from convlstm_cli.reporting.line_charts import Line, spectrum_chart
from convlstm_cli.reporting.members_wording import ALIKE
from convlstm_cli.reporting.page import legend
from convlstm_cli.reporting.styles import Style, system_labels, system_styles
from convlstm_cli.scoring.members.member_scores import listed
from convlstm_cli.scoring.members.spectra import RESOLVED, TRUTH, Ends, PooledSpectra
from convlstm_cli.scoring.systems import MEMBERS, MODEL

DRAWN = ("optical_flow", MODEL, MEMBERS)
"""Systems whose spectra are drawn, from the back to the front; the table has all."""


@dataclass(frozen=True)
class Likeness:
    """The least and the largest power of one system over that of the truth."""

    label: str
    by_lead_time: Ends
    """At wavelengths above `RESOLVED` pixels and any lead time."""
    temporal: Ends
    """At any period."""


@dataclass(frozen=True)
class SpectraSection:
    """What the page shows of spectra."""

    legend: list[tuple[str, Markup]]
    charts: list[tuple[Markup, str]]
    """Each with its caption."""
    rows: list[Likeness]
    resolved: float = RESOLVED


def spectra_section(spectra: PooledSpectra) -> SpectraSection:
    """The part on spectra, of `MEMBERS` among other systems."""
    labels, styles = system_labels(), system_styles()
    drawn = [name for name in DRAWN if name in spectra.systems]
    leads = len(spectra.systems[TRUTH].by_lead_time)
    charts = [
        (
            _chart(
                spectra.wavelengths,
                {name: spectra.systems[name].by_lead_time[lead] for name in (*drawn, TRUTH)},
                "wavelength in pixels",
                f"spectrum {lead + 1} ahead",
            ),
            f"{lead + 1} {'frame' if lead == 0 else 'frames'} ahead",
        )
        for lead in sorted({0, leads // 2, leads - 1})
    ]
    if spectra.periods:
        by_period = {name: spectra.systems[name].temporal for name in (*drawn, TRUTH)}
        charts.append((_chart(spectra.periods, by_period, "period in frames", "spectrum over time"), "over lead times"))
    return SpectraSection(
        legend({**labels, TRUTH: "truth"}, {TRUTH: Style("currentColor"), **{name: styles[name] for name in drawn}}),
        charts,
        [
            Likeness(labels[name], spectra.ends(name), spectra.temporal_ends(name))
            for name in spectra.systems
            if name != TRUTH
        ],
    )


def _chart(at: Sequence[float], powers: dict[str, list[float]], x_label: str, what: str) -> Markup:
    """Powers by wavelength or period; around those of the truth is what counts as like it."""
    styles = system_styles()
    lines = [
        Line(listed(power), styles[name], at=at, width=1.8 if name == MEMBERS else 1.2)
        for name, power in powers.items()
        if name != TRUTH
    ]
    low, high = ALIKE
    truth = listed(powers[TRUTH])
    band = [None if power is None else (low * power, high * power) for power in truth]
    lines.insert(0, Line(truth, Style(INK), at=at, interval=band, width=1.8))
    return Markup(spectrum_chart(f"{what}; the numbers are in evaluation.json", lines, x_label, "power"))

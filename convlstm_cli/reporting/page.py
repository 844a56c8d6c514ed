"""What the pages share: the templates and their filters, legends, tables and charts of scores by lead time."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from torch import Tensor

from convlstm_cli.files import write_text
from convlstm_cli.reporting.films import FRAME_SECONDS, SIDE
from convlstm_cli.reporting.line_charts import Ends, Line, Zero, line_chart
from convlstm_cli.reporting.numbers import FILTERS
from convlstm_cli.reporting.pictures import Rows, bar, data_uri, encode, has_gaps
from convlstm_cli.reporting.styles import Style, swatch, system_styles
from convlstm_cli.reporting.wording import decimals
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import Metric
from convlstm_cli.scoring.scores import PooledEvents, PooledScores, Values
from convlstm_cli.video.painting import Painter

REPORT = "report.html"
"""File name of a page."""
LEAD_TIME = "lead time in frames"
"""Label of the axis of lead times."""

Intervals = Mapping[str, Mapping[str, Sequence[Ends | None]]]
"""Low and high by lead time, of metrics, of systems, both by name."""


class Clip(Protocol):
    """What a page shows of a clip."""

    @property
    def video(self) -> str:
        """Name of its video."""

    @property
    def first_frame(self) -> int:
        """Number of the first frame of the input, from 1."""

    @property
    def rows(self) -> dict[str, Tensor]:
        """`input`, `truth` and forecasts, each (T, C, H, W) in [0, 1] on the CPU, with NaN where pixels are missing."""


@dataclass(frozen=True)
class ScoreColumn:
    """A metric of one system."""

    label: str
    by_lead_time: Values
    mean: float | None
    intervals: Sequence[Ends | None] | None
    """Low and high by lead time."""


@dataclass(frozen=True)
class ScoreGroup:
    """A table of one metric: a row for each lead time, a column for each system."""

    heading: str
    digits: int
    missing: str
    """What stands where there is no finite value."""
    columns: tuple[ScoreColumn, ...]


@dataclass(frozen=True)
class Scale:
    """What the colours of frames mean."""

    address: str
    """The picture of the colour bar, as a data URI."""
    words: str
    """The same in words."""


def write_page(folder: Path, template: str, **content: Any) -> Path:
    """Fills a template with `content` and writes report.html into a folder that exists. Returns the file's path."""
    path = folder / REPORT
    write_text(path, _templates().get_template(template).render(content))
    return path


@functools.cache
def _templates() -> Environment:
    """The templates of the pages, each of which is compiled once: that takes longer than to fill it."""
    environment = Environment(
        loader=PackageLoader("convlstm_cli.reporting"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= FILTERS
    environment.globals |= {"frame_seconds": FRAME_SECONDS, "frame_side": SIDE}
    return environment


def title(clip: Clip) -> str:
    """The caption of a film."""
    return f"{clip.video} from frame {clip.first_frame}"


def scale(shown: Sequence[Rows], painter: Painter) -> Scale | None:
    """The colour bar of the frames of several clips; None where they are drawn without a colour map."""
    picture = bar(shown, painter)
    if picture is None:
        return None
    words = f"{painter.values.describe()}{'; grey has no data' * has_gaps(shown)}"
    return Scale(data_uri("png", encode(picture)), words)


def legend(labels: Mapping[str, str], styles: Mapping[str, Style]) -> list[tuple[str, Markup]]:
    """The label of every system that has a style, with a piece of its line."""
    return [(labels[name], Markup(swatch(style))) for name, style in styles.items()]


def score_group(
    systems: Mapping[str, PooledScores | PooledEvents],
    metric: Metric,
    labels: Mapping[str, str],
    *,
    heading: str = "",
    intervals: Intervals | None = None,
) -> ScoreGroup:
    """The table of a metric of several systems, by their names; `heading` replaces the metric's own."""
    return ScoreGroup(
        heading or metric.label(unit_of(systems)),
        decimals(metric, systems.values()),
        metric.missing,
        tuple(
            ScoreColumn(
                labels[name],
                scores.by_lead_time[metric.name],
                scores.mean[metric.name],
                (intervals or {}).get(name, {}).get(metric.name),
            )
            for name, scores in systems.items()
        ),
    )


def lead_chart(
    systems: Mapping[str, PooledScores],
    metric: Metric,
    styles: Mapping[str, Style] | None = None,
    intervals: Intervals | None = None,
) -> Markup:
    """The chart of a metric by lead time, the baselines behind the other systems."""
    styles = system_styles() if styles is None else styles
    lines = [
        Line(
            scores.by_lead_time[metric.name],
            styles[name],
            interval=(intervals or {}).get(name, {}).get(metric.name),
            width=1.2 if name in BASELINES else 1.8,
        )
        for name, scores in sorted(systems.items(), key=lambda item: item[0] not in BASELINES)
    ]
    alt = f"{metric.heading} by lead time; the numbers are in a table"
    zero: Zero = "bottom" if metric.bounds[0] == 0 else ""
    return Markup(line_chart(alt, lines, LEAD_TIME, metric.label(unit_of(systems)), zero=zero))


def unit_of(systems: Mapping[str, PooledScores | PooledEvents]) -> str:
    """The unit of the values that the systems forecast; empty where there is none or they are counts of events."""
    scores = next(iter(systems.values()), None)
    return scores.unit if isinstance(scores, PooledScores) else ""

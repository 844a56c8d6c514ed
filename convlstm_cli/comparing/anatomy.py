"""What peepholes learned: their weights, what the gates do with them, and what the forecast loses without them."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Subset

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_clip, to_float
from convlstm_cli.nn.cell import CellValues
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.probe import watching
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.scoring.metrics import finite, mean
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.video.clips import ClipDataset

CLOSED = 0.1
"""A gate below this is nearly closed; Karpathy, Johnson and Fei-Fei 2015, "Visualizing and Understanding Recurrent
Networks", call it left-saturated."""
OPEN = 0.9
"""A gate above this is nearly open (theirs: right-saturated)."""
SATURATION_CLIPS = 64
"""Clips at most, spread evenly over the test clips, on which the gates are watched."""
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 41
"""Of a histogram; odd, so that 0 lies in the middle of one."""
NEGLIGIBLE = 0.001
"""Relative cost up to which a knock-out is said to change next to nothing."""
ALIKE = 0.01
"""Difference of two shares of saturated gates up to which they are said to be about the same."""

GATES = {"i": "input", "f": "forget", "o": "output"}
"""The gates that peepholes lead to; the candidate g has none."""
ALL = "all"

Load = Callable[[], EncoderForecaster]
"""Gives a trained network, on the device that is computed with."""
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Saturation:
    """How often a gate is nearly closed or open: shares of all clips, time steps, channels, positions and seeds."""

    arm: str
    layer: str
    gate: str
    closed: float
    """Share below `CLOSED`."""
    open: float
    """Share above `OPEN`."""
    mean: float
    """Mean activation, in [0, 1]."""


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each two edges."""

    edges: list[float]
    """`BINS` + 1, symmetric about 0, and the same for all layers and gates of an arm."""
    counts: list[int]


@dataclass(frozen=True)
class PeepholeWeights:
    """The trained peepholes of a layer to one gate, pooled over the seeds."""

    arm: str
    layer: str
    gate: str
    mean: float
    std: float
    rms: float
    """Root mean square."""
    initial_rms: float
    """What training began with: 0, or what a uniform draw is expected to have."""
    quantiles: dict[str, float]
    """By the level, `0` to `1`."""
    histogram: Histogram
    map: list[list[float]] | None
    """(H, W) of the hidden states, mean over channels and seeds; None for one weight per channel."""


@dataclass(frozen=True)
class KnockOut:
    """Scores of trained networks with the peepholes to one gate (or `all` three) set to zero, in all layers."""

    arm: str
    gate: str
    mse: float
    """Mean over the seeds, of all lead times."""
    relative: float | None
    """`mse` over that of the intact networks, less 1: 0.03 is an MSE 3 % higher. None where the intact one is 0."""
    by_seed: list[float | None]
    """The same of each seed alone."""


@dataclass(frozen=True)
class Anatomy:
    """What became of the peepholes of every arm, all seeds pooled; arms without any are in `saturation` only."""

    saturation: list[Saturation]
    saturation_clips: int
    """Test clips on which the gates were watched."""
    peepholes: list[PeepholeWeights]
    knock_out: list[KnockOut]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, with the thresholds of saturation."""
        return {**asdict(self), "closed_below": CLOSED, "open_above": OPEN}


def anatomy(
    networks: Mapping[str, Sequence[Load]],
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    intact: Mapping[str, Sequence[float]],
    on_progress: Callable[[int, int], None] | None = None,
    input_frames: int | None = None,
) -> Anatomy:
    """Looks into the trained networks of all arms.

    No more than one network and a copy of it are in memory at a time; each is loaded twice.

    Args:
        networks: for each arm what loads its networks, one for each seed, alike but for their weights.
        clips: the test clips.
        compute: with what to forecast.
        batch_size: clips that are forecast at a time.
        intact: for each arm the MSE of each seed on these very clips, over all lead times.
        on_progress: is told how many clips are forecast, and how many will be; what it raises ends the work.
        input_frames: frames of a clip that are not forecast; a network reads as many of them as it was trained with,
            the last ones. None is that number, if all networks have the same.
    """
    learned = {arm: _learned(loads) for arm, loads in networks.items()}
    positions = np.linspace(0, len(clips) - 1, min(len(clips), SATURATION_CLIPS)).round().astype(int).tolist()
    knocked = len(GATES) + 1
    of_arm = {arm: len(positions) + (knocked * len(clips) if learned[arm] else 0) for arm in networks}
    work = _Work(sum(of_arm[arm] * len(loads) for arm, loads in networks.items()), on_progress)

    saturation: list[Saturation] = []
    knock_out: list[KnockOut] = []
    copying: Scores | None = None  # of persistence, the same for every network
    for arm, loads in networks.items():
        activations = _Activations()
        mse: dict[str, list[float]] = {gate: [] for gate in (*GATES, ALL)}
        for load in loads:
            network = load()
            read = input_frames or network.config.input_frames
            _watch(network, activations, clips, positions, compute, batch_size, work, read)
            if not learned[arm]:
                continue
            for gate, values in mse.items():
                knocked_out = _without(network, gate)
                found = evaluate_clips(knocked_out, clips, compute, batch_size, work.tell, copying, input_frames=read)
                copying = found.persistence
                values.append(found.model.mean_mse)
        saturation += activations.rows(arm)
        if learned[arm]:
            knock_out += [_cost(arm, gate, values, intact[arm]) for gate, values in mse.items()]
    return Anatomy(
        saturation,
        len(positions),
        [row for arm, found in learned.items() for row in _peephole_rows(arm, found)],
        knock_out,
    )


class _Learned(NamedTuple):
    """The peepholes of a layer to one gate."""

    layer: str
    gate: str
    values: Values
    """(seeds, hidden, H, W), or (seeds, hidden, 1, 1)."""
    full: bool
    initial_rms: float


def _learned(loads: Sequence[Load]) -> list[_Learned]:
    """All peepholes of an arm; empty where it has none."""
    found: dict[tuple[str, str], list[_Learned]] = {}
    for load in loads:
        for name, layer in load().named_layers().items():
            if layer.weights.peepholes is None:
                continue
            # The mean square of uniform values in [-√(3/hidden), √(3/hidden)] is 1/hidden.
            initial = 0.0 if layer.peephole_init == "zeros" else 1 / math.sqrt(layer.hidden_channels)
            for gate in GATES:
                values = getattr(layer.weights.peepholes, gate).detach().cpu().double().numpy()
                one = _Learned(name, gate, values, layer.peephole == "full", initial)
                found.setdefault((name, gate), []).append(one)
    return [seeds[0]._replace(values=np.stack([one.values for one in seeds])) for seeds in found.values()]


def _peephole_rows(arm: str, learned: list[_Learned]) -> list[PeepholeWeights]:
    bound = max((np.abs(one.values).max() for one in learned), default=0.0)
    edges = np.linspace(-bound, bound, BINS + 1) if bound > 0 else np.linspace(-1.0, 1.0, BINS + 1)
    rows = []
    for layer, gate, values, full, initial_rms in learned:
        levels = np.quantile(values, QUANTILES).tolist()
        rows.append(
            PeepholeWeights(
                arm,
                layer,
                gate,
                mean=float(values.mean()),
                std=float(values.std()),
                rms=math.sqrt(float(np.square(values).mean())),
                initial_rms=initial_rms,
                quantiles={f"{level:g}": value for level, value in zip(QUANTILES, levels, strict=True)},
                histogram=Histogram(edges.tolist(), np.histogram(values, edges)[0].tolist()),
                map=values.mean(axis=(0, 1)).tolist() if full else None,
            )
        )
    return rows


class _Work:
    """How many clips are forecast, over all pieces of the work."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._before = 0
        self._total = total
        self._on_progress = on_progress

    def tell(self, done: int, of: int) -> None:
        """`done` clips `of` a piece are forecast; the last call of a piece has both alike."""
        if self._on_progress is not None:
            self._on_progress(self._before + done, self._total)
        if done == of:
            self._before += of


class _Activations:
    """Gate activations of an arm's networks, by layer and gate, as counts: no activation is kept."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], tuple[int, int, float, int]] = {}

    def see(self, layer: str, values: CellValues) -> None:
        """Counts one time step in."""
        for gate in GATES:
            activation = getattr(values, gate)
            closed, opened, total, count = self._sums.get((layer, gate), (0, 0, 0.0, 0))
            self._sums[layer, gate] = (
                closed + int((activation < CLOSED).sum()),
                opened + int((activation > OPEN).sum()),
                total + float(activation.sum()),
                count + activation.numel(),
            )

    def rows(self, arm: str) -> list[Saturation]:
        return [
            Saturation(arm, layer, gate, closed / count, opened / count, total / count)
            for (layer, gate), (closed, opened, total, count) in self._sums.items()
        ]


def _watch(
    network: EncoderForecaster,
    activations: _Activations,
    clips: ClipDataset,
    positions: Sequence[int],
    compute: Compute,
    batch_size: int,
    work: _Work,
    input_frames: int,
) -> None:
    """Forecasts the clips at these positions and counts what the gates do meanwhile."""
    done = 0
    with watching(network, activations.see):
        for batch in DataLoader(Subset(clips, positions), batch_size=batch_size):
            frames = to_float(batch[:, input_frames - network.config.input_frames : input_frames], compute.device)
            forecast_clip(network, frames, clips.clip_frames - input_frames, compute)
            done += len(batch)
            work.tell(done, len(positions))


def _without(network: EncoderForecaster, gate: str) -> EncoderForecaster:
    """A copy of the network whose peepholes to this gate, or to `all`, are zero."""
    knocked = copy.deepcopy(network)
    for layer in knocked.named_layers().values():
        assert layer.weights.peepholes is not None
        for name in GATES if gate == ALL else (gate,):
            torch.nn.init.zeros_(getattr(layer.weights.peepholes, name))
    return knocked


def _cost(arm: str, gate: str, mse: Sequence[float], intact: Sequence[float]) -> KnockOut:
    mean_mse, mean_intact = mean(list(mse)), mean(list(intact))
    by_seed = [_relative(one, reference) for one, reference in zip(mse, intact, strict=True)]
    return KnockOut(arm, gate, mean_mse, _relative(mean_mse, mean_intact), by_seed)


def _relative(mse: float, intact: float) -> float | None:
    return finite(mse / intact - 1) if intact > 0 else None


def conclusions(found: Mapping[str, Any]) -> list[str]:
    """What `Anatomy.to_dict` shows, in plain sentences; none where no arm has peepholes.

    They describe these networks on these clips: no significance is claimed.
    """
    sentences = []
    with_peepholes = list(dict.fromkeys(row["arm"] for row in found["peepholes"]))
    plain = next((row["arm"] for row in found["saturation"] if row["arm"] not in with_peepholes), None)
    for arm in with_peepholes:
        sentences.append(f"{arm}: {_on_size(_of_arm(found['peepholes'], arm))}")
        sentences.append(f"{arm}: {_on_knock_out(_of_arm(found['knock_out'], arm))}")
        if plain is not None:
            saturated, reference = (_saturated(_of_arm(found["saturation"], name)) for name in (arm, plain))
            sentences.append(f"{arm}: {_on_saturation(saturated, reference, plain)}")
    if with_peepholes:
        sentences.append(
            "Setting peepholes to zero shows what a trained network relies on, not what one trained without them would "
            "reach; that is what the comparison with the other arms shows."
        )
    return sentences


def _of_arm(rows: Sequence[dict[str, Any]], arm: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["arm"] == arm]


def _on_size(rows: list[dict[str, Any]]) -> str:
    """How large the peepholes became, by gate, all layers pooled."""
    sizes = {gate: _pooled_rms(rows, gate, "rms") for gate in GATES}
    before = _pooled_rms(rows, "i", "initial_rms")
    became = ", ".join(f"{sizes[gate]:.2g} to the {name} gate" for gate, name in GATES.items())
    return f"the peepholes began with a root mean square of {before:.2g} and became {became} (all layers and seeds)."


def _pooled_rms(rows: list[dict[str, Any]], gate: str, name: str) -> float:
    own = [(sum(row["histogram"]["counts"]), row[name]) for row in rows if row["gate"] == gate]
    return math.sqrt(sum(count * rms**2 for count, rms in own) / sum(count for count, _ in own))


def _on_knock_out(rows: list[dict[str, Any]]) -> str:
    """Which gate uses the cell state."""
    cost = {row["gate"]: row["relative"] for row in rows}
    seeds = {row["gate"]: row["by_seed"] for row in rows}
    if any(value is None for values in ([*cost.values()], *seeds.values()) for value in values):
        return "an intact network is exact on the test clips, so knock-outs have no relative cost."
    if all(abs(value) <= NEGLIGIBLE for values in seeds.values() for value in values):
        return (
            f"setting peepholes to zero, gate by gate or all at once, changes the test MSE by at most "
            f"{_percent(NEGLIGIBLE)} in every seed: these forecasts hardly depend on them."
        )
    largest = max(GATES, key=lambda gate: cost[gate])
    together = f"all peepholes at once: {_signed(cost[ALL])}"
    if cost[largest] <= NEGLIGIBLE:
        by_gate = ", ".join(f"{name} {_signed(cost[gate])}" for gate, name in GATES.items())
        if cost[ALL] > NEGLIGIBLE:
            return (
                f"no gate's peepholes alone are missed when set to zero (test MSE: {by_gate}), but {together}; "
                "so the gates may stand in for each other."
            )
        return (
            f"setting peepholes to zero costs nothing on average (test MSE: {by_gate}; {together}): what they learned "
            "does not help on the test clips."
        )
    others = ", ".join(f"{name} {_signed(cost[gate])}" for gate, name in GATES.items() if gate != largest)
    raised = sum(value > 0 for value in seeds[largest])
    first = sum(all(seeds[largest][k] >= seeds[gate][k] for gate in GATES) for k in range(len(seeds[largest])))
    count = len(seeds[largest])
    told = (
        f"setting the peepholes to the {GATES[largest]} gate to zero costs most, a test MSE {_signed(cost[largest])} "
        f"({others}; {together})"
    )
    if raised < count:
        return f"{told}, but raises it in {raised} of {count} seeds only: which gate uses the cell state is not clear."
    if first < count:
        return f"{told}; it raises it in {_every(count)}, but is the costliest in {first} only."
    return f"{told}, and is the costliest in {_every(count)}: in these networks this gate uses the cell state most."


def _every(seeds: int) -> str:
    return {1: "the only seed", 2: "both seeds"}.get(seeds, f"all {seeds} seeds")


def _saturated(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Share of the time that each gate is nearly closed or open, mean over the layers."""
    return {gate: mean([row["closed"] + row["open"] for row in rows if row["gate"] == gate]) for gate in GATES}


def _on_saturation(saturated: dict[str, float], reference: dict[str, float], plain: str) -> str:
    """Whether gates saturate more or less with peepholes."""
    words = []
    for gate, name in GATES.items():
        difference = saturated[gate] - reference[gate]
        how = "about as" if abs(difference) <= ALIKE else "more" if difference > 0 else "less"
        words.append(
            f"{how} frequent in the {name} gate ({_percent(saturated[gate])} against {_percent(reference[gate])})"
        )
    return (
        f"compared with {plain}, activations nearly closed (below {CLOSED}) or nearly open (above {OPEN}) are "
        f"{', '.join(words)}; mean over the layers."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(relative: float) -> str:
    return f"{100 * relative:+.2f} %"

"""The findings about peepholes in sentences.

They describe these networks on these clips: no significance is claimed.
"""

import math
from collections.abc import Sequence

from convlstm_cli.comparing.anatomy.saturation import CLOSED, OPEN
from convlstm_cli.scoring.anatomy_result import ALL, GATES, KnockOut, PeepholeWeights, Saturation
from convlstm_cli.scoring.formulae import mean

NEGLIGIBLE = 0.001
"""Relative cost up to which a knock-out is said to change next to nothing."""
ALIKE = 0.01
"""Difference of two shares of saturated gates up to which they are said to be about the same."""


def conclusions(
    saturation: Sequence[Saturation], peepholes: Sequence[PeepholeWeights], knock_out: Sequence[KnockOut]
) -> list[str]:
    """Sentences about every arm that has peepholes, and what they do not show; none where no arm has any."""
    sentences = []
    with_peepholes = list(dict.fromkeys(row.arm for row in peepholes))
    plain = next((row.arm for row in saturation if row.arm not in with_peepholes), None)
    for arm in with_peepholes:
        sentences.append(f"{arm}: {_on_size([row for row in peepholes if row.arm == arm])}")
        sentences.append(f"{arm}: {_on_knock_out([row for row in knock_out if row.arm == arm])}")
        if plain is not None:
            saturated, reference = (_saturated([row for row in saturation if row.arm == name]) for name in (arm, plain))
            sentences.append(f"{arm}: {_on_saturation(saturated, reference, plain)}")
    if with_peepholes:
        sentences.append(
            "Setting peepholes to zero shows what a trained network relies on, not what one trained without them would "
            "reach; that is what the comparison with the other arms shows."
        )
    return sentences


def _on_size(rows: Sequence[PeepholeWeights]) -> str:
    """How large the peepholes became, by gate, all layers pooled."""
    sizes = {gate: _pooled_rms([row for row in rows if row.gate == gate]) for gate in GATES}
    before = _pooled_rms([row for row in rows if row.gate == "i"], initial=True)
    became = ", ".join(f"{sizes[gate]:.2g} to the {name} gate" for gate, name in GATES.items())
    return f"the peepholes began with a root mean square of {before:.2g} and became {became} (all layers and seeds)."


def _pooled_rms(rows: Sequence[PeepholeWeights], *, initial: bool = False) -> float:
    own = [(sum(row.histogram.counts), row.initial_rms if initial else row.rms) for row in rows]
    return math.sqrt(sum(count * rms**2 for count, rms in own) / sum(count for count, _ in own))


def _on_knock_out(rows: Sequence[KnockOut]) -> str:
    """Which gate uses the cell state."""
    cost: dict[str, float] = {}
    seeds: dict[str, list[float]] = {}
    for row in rows:
        by_seed = [value for value in row.by_seed if value is not None]
        if row.relative is None or len(by_seed) < len(row.by_seed):
            return "an intact network is exact on the test clips, so knock-outs have no relative cost."
        cost[row.gate], seeds[row.gate] = row.relative, by_seed
    if all(abs(value) <= NEGLIGIBLE for values in seeds.values() for value in values):
        return (
            f"setting peepholes to zero, gate by gate or all at once, changes the test MSE by at most "
            f"{_percent(NEGLIGIBLE)} in every seed: these forecasts hardly depend on them."
        )
    largest = max(GATES, key=lambda gate: cost[gate])
    together = f"all peepholes at once: {_signed(cost[ALL])}"
    if cost[largest] > NEGLIGIBLE:
        return _on_costliest(largest, cost, seeds, together)
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


def _on_costliest(largest: str, cost: dict[str, float], seeds: dict[str, list[float]], together: str) -> str:
    """Whether the gate whose peepholes cost most on average is the costliest in every seed."""
    others = ", ".join(f"{name} {_signed(cost[gate])}" for gate, name in GATES.items() if gate != largest)
    raised = sum(value > 0 for value in seeds[largest])
    first = sum(all(seeds[largest][k] >= seeds[gate][k] for gate in GATES) for k in range(len(seeds[largest])))
    count = len(seeds[largest])
    finding = (
        f"setting the peepholes to the {GATES[largest]} gate to zero costs most, a test MSE {_signed(cost[largest])} "
        f"({others}; {together})"
    )
    if raised < count:
        return (
            f"{finding}, but raises it in {raised} of {count} seeds only: which gate uses the cell state is not clear."
        )
    if first < count:
        return f"{finding}; it raises it in {_every(count)}, but is the costliest in {first} only."
    return f"{finding}, and is the costliest in {_every(count)}: in these networks this gate uses the cell state most."


def _every(seeds: int) -> str:
    return {1: "the only seed", 2: "both seeds"}.get(seeds, f"all {seeds} seeds")


def _saturated(rows: Sequence[Saturation]) -> dict[str, float]:
    """Share of the time that each gate is nearly closed or open, mean over the layers."""
    return {gate: mean([row.closed + row.open for row in rows if row.gate == gate]) for gate in GATES}


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

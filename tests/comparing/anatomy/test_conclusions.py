from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from convlstm_cli.comparing.anatomy.conclusions import conclusions
from convlstm_cli.scoring.anatomy_result import ALL, GATES, Histogram, KnockOut, PeepholeWeights, Saturation


def weights(rms: float = 0.25) -> list[PeepholeWeights]:
    """Four peepholes to each gate of one layer."""
    histogram = Histogram([-1.0, 1.0], [4])
    return [
        PeepholeWeights("channel", "encoder 0", gate, 0.0, rms, rms, 0.0, {}, histogram, map=None) for gate in GATES
    ]


def said_of(costs: Mapping[str, Sequence[float]], saturated: tuple[float, float] = (0.2, 0.2)) -> list[str]:
    """The sentences about one arm with these costs by gate and seed, and a plain one, with these saturated shares."""
    saturation = [
        Saturation(arm, "encoder 0", gate, closed=share / 2, open=share / 2, mean=0.5)
        for arm, share in zip(("none", "channel"), saturated, strict=True)
        for gate in GATES
    ]
    knock_out = [
        KnockOut("channel", gate, 0.01, sum(values) / len(values), list(values)) for gate, values in costs.items()
    ]
    return conclusions(saturation, weights(), knock_out)


@pytest.mark.parametrize(
    ("costs", "says"),
    [
        (
            {"i": [0.0, 0.01], "f": [0.01, 0.02], "o": [0.1, 0.14], "all": [0.2, 0.2]},
            "the output gate to zero costs most, a test MSE +12.00 % (input +0.50 %, forget +1.50 %; all peepholes at "
            "once: +20.00 %), and is the costliest in both seeds: in these networks this gate uses the cell state most",
        ),
        (
            {"i": [0.0] * 3, "f": [0.1] * 3, "o": [0.0] * 3, "all": [0.1] * 3},
            "the forget gate to zero costs most, a test MSE +10.00 % (input +0.00 %, output +0.00 %; all peepholes at "
            "once: +10.00 %), and is the costliest in all 3 seeds",
        ),
        ({"i": [0.1], "f": [0.0], "o": [0.0], "all": [0.1]}, "the costliest in the only seed"),
        (
            {"i": [-0.01, 0.2], "f": [0.0, 0.0], "o": [0.0, 0.0], "all": [0.0, 0.2]},
            "raises it in 1 of 2 seeds only: which gate uses the cell state is not clear",
        ),
        (
            {"i": [0.01, 0.2], "f": [0.02, 0.0], "o": [0.0, 0.0], "all": [0.0, 0.2]},
            "raises it in both seeds, but is the costliest in 1 only",
        ),
        (
            {"i": [1e-4, 0.0], "f": [0.0, -1e-4], "o": [0.0, 0.0], "all": [5e-4, 0.0]},
            "by at most 0.1 % in every seed: these forecasts hardly depend on them",
        ),
        (
            {"i": [-0.1, 0.0], "f": [0.0, 0.0], "o": [-0.2, 0.1], "all": [-0.2, 0.0]},
            "costs nothing on average (test MSE: input -5.00 %, forget +0.00 %, output -5.00 %; all peepholes at once: "
            "-10.00 %)",
        ),
        ({"i": [0.0], "f": [0.0], "o": [0.0], "all": [0.3]}, "may stand in for each other"),
    ],
)
def test_what_is_said_of_knock_outs(costs: dict[str, list[float]], says: str) -> None:
    said = " ".join(said_of(costs))
    assert says in said
    assert "signific" not in said


def test_what_is_said_of_sizes_and_saturation() -> None:
    costs = {gate: [0.1] for gate in (*GATES, ALL)}
    size, _, saturation, caution = said_of(costs, saturated=(0.2, 0.3))
    assert "began with a root mean square of 0 and became 0.25 to the input gate" in size
    assert "are more frequent in the input gate (30.0 % against 20.0 %)" in saturation
    assert "not what one trained without them" in caution
    assert "less frequent in the forget gate" in said_of(costs, saturated=(0.3, 0.2))[2]
    assert "about as frequent in the forget gate" in said_of(costs, saturated=(0.3, 0.305))[2]


def test_sizes_of_layers_are_pooled_by_their_weights() -> None:
    wide = [replace(row, layer="forecaster 0", rms=2.0, histogram=Histogram([-1.0, 1.0], [12])) for row in weights()]
    knock_out = [KnockOut("channel", gate, 0.01, 0.1, [0.1]) for gate in (*GATES, ALL)]
    said = conclusions([], [*weights(rms=0.0), *wide], knock_out)
    assert "1.7 to the input gate" in said[0]  # √(12 * 2² / 16)


def test_without_peepholes_there_is_nothing_to_say() -> None:
    assert conclusions([Saturation("none", "encoder 0", "i", 0.1, 0.1, 0.5)], [], []) == []

"""Examines the trained networks of all arms: weights of the peepholes, saturation of the gates, knock-outs."""

from collections.abc import Callable, Mapping, Sequence

from convlstm_cli.comparing.anatomy.conclusions import conclusions
from convlstm_cli.comparing.anatomy.knock_out import KNOCKED_OUT, cost, without_peepholes
from convlstm_cli.comparing.anatomy.saturation import CLOSED, OPEN, Activations, watched_positions
from convlstm_cli.comparing.anatomy.weights import Load, peephole_rows, trained_peepholes
from convlstm_cli.compute.device import Compute
from convlstm_cli.scoring.anatomy_result import Anatomy, KnockOut, Saturation
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.video.clips import ClipDataset


def examine(
    networks: Mapping[str, Sequence[Load]],
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    intact: Mapping[str, Sequence[float]],
    on_progress: Callable[[int, int], None] | None = None,
    input_frames: int | None = None,
) -> Anatomy:
    """Examines the trained networks of all arms.

    No more than one network and a copy of it are in memory at a time; each is loaded twice.

    Args:
        networks: for each arm what loads its networks, one for each seed, alike but for their weights.
        clips: the test clips.
        compute: device and precision of the forecasts.
        batch_size: clips that are forecast at a time.
        intact: for each arm the MSE of each seed on the same clips, over all lead times.
        on_progress: is called with the number of clips forecast and their total; what it raises ends the work.
        input_frames: frames of a clip that are not forecast; a network reads as many of them as it was trained with,
            the last ones. None is that number, if all networks have the same.
    """
    peepholes = {arm: trained_peepholes(loads) for arm, loads in networks.items()}
    positions = watched_positions(len(clips))
    clips_of = {arm: len(positions) + (len(KNOCKED_OUT) * len(clips) if peepholes[arm] else 0) for arm in networks}
    work = _Work(sum(clips_of[arm] * len(loads) for arm, loads in networks.items()), on_progress)

    saturation: list[Saturation] = []
    knock_out: list[KnockOut] = []
    copying: Scores | None = None  # of persistence, the same for every network
    for arm, loads in networks.items():
        activations = Activations()
        mse: dict[str, list[float]] = {gate: [] for gate in KNOCKED_OUT}
        for load in loads:
            network = load()
            read = input_frames or network.config.input_frames
            activations.watch(network, clips, positions, compute, batch_size, read, work.advance)
            for gate in KNOCKED_OUT if peepholes[arm] else ():
                knocked = without_peepholes(network, gate)
                found = evaluate_clips(knocked, clips, compute, batch_size, work.advance, copying, input_frames=read)
                copying = found.persistence
                mse[gate].append(found.model.mean_mse)
        saturation += activations.rows(arm)
        if peepholes[arm]:
            knock_out += [cost(arm, gate, values, intact[arm]) for gate, values in mse.items()]
    weights = [row for arm, found in peepholes.items() for row in peephole_rows(arm, found)]
    return Anatomy(
        saturation,
        len(positions),
        weights,
        knock_out,
        closed_below=CLOSED,
        open_above=OPEN,
        conclusions=conclusions(saturation, weights, knock_out),
    )


class _Work:
    """How many clips are forecast, over all pieces of the work."""

    def __init__(self, total: int, on_progress: Callable[[int, int], None] | None) -> None:
        self._before = 0
        self._total = total
        self._on_progress = on_progress

    def advance(self, done: int, of: int) -> None:
        """`done` clips `of` a piece are forecast; the last call of a piece has both alike."""
        if self._on_progress is not None:
            self._on_progress(self._before + done, self._total)
        if done == of:
            self._before += of

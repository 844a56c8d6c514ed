"""How often the gates of trained networks are nearly closed or nearly open while they forecast."""

from collections.abc import Callable, Sequence

import numpy as np
from torch.utils.data import DataLoader, Subset

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn.cell import CellValues
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.probe import watching
from convlstm_cli.scoring.anatomy_result import GATES, Saturation
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.tensors import to_float, to_read

CLOSED = 0.1
"""A gate below this is nearly closed; Karpathy, Johnson and Fei-Fei 2015, "Visualizing and Understanding Recurrent
Networks", call it left-saturated."""
OPEN = 0.9
"""A gate above this is nearly open (theirs: right-saturated)."""
SATURATION_CLIPS = 64
"""Largest number of clips on which the gates are watched, spread evenly over the test clips."""


def watched_positions(clips: int) -> list[int]:
    """Positions of the clips on which the gates are watched: all, or `SATURATION_CLIPS` evenly spread ones."""
    positions: list[int] = np.linspace(0, clips - 1, min(clips, SATURATION_CLIPS)).round().astype(int).tolist()
    return positions


class Activations:
    """Gate activations of an arm's networks, by layer and gate, as counts: no activation is kept."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], tuple[int, int, float, int]] = {}

    def see(self, layer: str, values: CellValues) -> None:
        """Adds one time step of a layer to the counts."""
        for gate in GATES:
            activation = getattr(values, gate)
            closed, opened, total, count = self._sums.get((layer, gate), (0, 0, 0.0, 0))
            self._sums[layer, gate] = (
                closed + int((activation < CLOSED).sum()),
                opened + int((activation > OPEN).sum()),
                total + float(activation.sum()),
                count + activation.numel(),
            )

    def watch(
        self,
        network: EncoderForecaster,
        clips: ClipDataset,
        positions: Sequence[int],
        compute: Compute,
        batch_size: int,
        input_frames: int,
        on_progress: Callable[[int, int], None],
    ) -> None:
        """Adds what the network's gates do while it forecasts the clips at these positions.

        Args:
            input_frames: frames of a clip that are not forecast; the network reads the last of them.
            on_progress: is called with the number of clips done and their total.
        """
        done = 0
        with watching(network, self.see):
            for batch in DataLoader(Subset(clips, positions), batch_size=batch_size):
                frames = to_read(batch[:, input_frames - network.config.input_frames : input_frames], compute.device)
                future = network.known_future(to_float(batch[:, input_frames:], compute.device))
                forecast_clip(network, frames, clips.clip_frames - input_frames, compute, future)
                done += len(batch)
                on_progress(done, len(positions))

    def rows(self, arm: str) -> list[Saturation]:
        """Shares of the activations seen so far, for each layer and gate."""
        return [
            Saturation(arm, layer, gate, closed / count, opened / count, total / count)
            for (layer, gate), (closed, opened, total, count) in self._sums.items()
        ]

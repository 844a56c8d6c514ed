"""The shipped weights as a run named `pretrained`, which was trained on made-up motion and on no video."""

import functools
import hashlib
import json
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from safetensors.torch import load
from torch import Tensor

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.paths import numbered
from convlstm_cli.runs.record import build
from convlstm_cli.runs.records import EpochRecord, ResultRecord
from convlstm_cli.runs.run import Run
from convlstm_cli.video.config import DataConfig, Fit
from convlstm_cli.video.values import ValueRange
from convlstm_cli.weights import MEMBERS, NAME

PACKAGE = "convlstm_cli.weights"
SIZE = 64
"""Side in pixels of the frames that they work at unless another size is asked for."""
CHANNELS = {"grey": 1, "colour": 3}
"""The weights that there are, and the channels of their frames."""
NAMES = (*CHANNELS, *(name + MEMBERS for name in CHANNELS))
"""All of them."""


class Pretrained(Run):
    """The shipped weights for grey (`channels` 1) or colour (3) frames, at frames of `height` x `width` pixels.

    They hold for any size that is a multiple of the patch size; UsageError is raised for others. A command may choose
    channels and size by the frames at hand, unless the run is `settled`. With `members` they are those of the network
    that reads noise, which has its own: what is learned for the sake of members costs the single forecast some of its
    error.
    """

    def __init__(
        self,
        channels: int = 1,
        height: int = SIZE,
        width: int = SIZE,
        fit: Fit = "pad",
        *,
        settled: bool = False,
        every: str = "auto",
        values: ValueRange | None = None,
        members: bool = False,
    ) -> None:
        self._values = values
        self.has_own_size = settled
        self.weights = next(name for name, count in CHANNELS.items() if count == channels) + MEMBERS * members
        """`grey` or `colour`, or `grey-members` or `colour-members`."""
        found = card(self.weights)
        model = replace(model_of(self.weights), height=height, width=width)
        settings = DataConfig(folders=(), height=height, width=width, fit=fit, colour="auto", every=every)
        config = {
            "model": asdict(model),
            "data": {
                "settings": asdict(settings),
                "channels": channels,
                "step": None,
                "split": {"how": "trained on made-up motion", "train": [], "validation": [], "test": []},
                "problems": [],
            },
            "versions": found["versions"],
        }
        super().__init__(Path(NAME), json.loads(json.dumps(config)))  # with lists for tuples, as files hold it

    @classmethod
    def beside(cls, run: Run) -> "Pretrained":
        """The weights for frames of the channels, size, fit and step of another run, to form an ensemble with it."""
        geometry, every = run.geometry, run.pace.every_option
        return cls(
            run.model_config.channels,
            geometry.height,
            geometry.width,
            geometry.fit,
            settled=True,
            every=every,
            values=run.values,
        )

    @property
    def values(self) -> ValueRange | None:
        """None, since made-up motion has no unit; beside a run that of the run."""
        return self._values

    def for_channels(self, channels: int) -> "Pretrained":
        """The weights for frames of so many channels, at the same size; itself where it is settled."""
        geometry = self.geometry
        if self.has_own_size:
            return self
        members = self.model_config.noise
        return Pretrained(channels, geometry.height, geometry.width, geometry.fit, members=members)

    def at_size(self, height: int, width: int) -> "Pretrained":
        """The same weights at frames of another size. Raises UsageError for one that is no multiple of a patch."""
        members = self.model_config.noise
        return Pretrained(self.model_config.channels, height, width, self.geometry.fit, members=members)

    @property
    def forecasts_members(self) -> bool:
        """True: there are weights for members too."""
        return True

    def for_members(self) -> "Pretrained":
        """The weights of the network that reads noise."""
        model, geometry = self.model_config, self.geometry
        return Pretrained(
            model.channels,
            geometry.height,
            geometry.width,
            geometry.fit,
            settled=self.has_own_size,
            every=self.pace.every_option,
            values=self._values,
            members=True,
        )

    def load_weights(self) -> dict[str, Tensor]:
        """The shipped weights, by the names of the network's parameters, on the CPU."""
        return weights_of(self.weights)

    def epochs(self) -> list[EpochRecord]:
        """None: the card says how they were trained."""
        return []

    def result(self) -> ResultRecord | None:
        """None: there is no test video that is theirs."""
        return None


def is_pretrained(path: Path) -> bool:
    """Whether a RUN means the shipped weights: it is named so, and no run folder of that name is there."""
    return path == Path(NAME) and not Run.is_run(path)


def means_run(path: Path) -> bool:
    """Whether a path is meant as a run, a comparison or the shipped weights, rather than as a folder of videos."""
    return Run.is_run(path) or is_pretrained(path)


def open_run(path: Path) -> Run:
    """The run that a RUN means: the shipped weights (grey, `SIZE`) for `pretrained`, else a run folder.

    Raises RunError as `Run.open` does.
    """
    return Pretrained() if is_pretrained(path) else Run.open(path)


def free_folder(run: Path, kind: str) -> Path:
    """A path that is not taken for results about a RUN, such as RUN/evaluation-1 for the kind `evaluation`.

    The shipped weights have no folder: theirs are evaluations/pretrained-1, exports/pretrained-1 and so on.
    """
    return numbered(Path(f"{kind}s"), NAME) if is_pretrained(run) else numbered(run, kind)


@functools.cache
def card(name: str) -> dict[str, Any]:
    """What is on record of the weights of a name (`Pretrained.weights`), as `scripts/pretrain` writes it."""
    read: dict[str, Any] = json.loads(files(PACKAGE).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return read


def model_of(name: str) -> ForecasterConfig:
    """The network of the weights of a name, at the frame size that they were trained at."""
    return build(ForecasterConfig, card(name)["model"])


def weights_of(name: str) -> dict[str, Tensor]:
    """The weights of a name, by the names of the network's parameters and buffers, in float32.

    The files hold float16, which changes no forecast by a quarter of one of 255 levels.
    """
    return {name: value.float() for name, value in load(_stored(name)).items()}


def digest_of(name: str) -> str:
    """SHA-256 of the file of the weights of a name, by which versions of them are known."""
    return hashlib.sha256(_stored(name)).hexdigest()


def _stored(name: str) -> bytes:
    return files(PACKAGE).joinpath(f"{name}.safetensors").read_bytes()

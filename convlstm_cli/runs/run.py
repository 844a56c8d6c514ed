"""A run folder on disk, which holds everything about a training run.

    config.json         every resolved setting, the versions, the train/validation/test split
    metrics.jsonl       one line per epoch
    model.safetensors   the weights of the best epoch on validation
    resume.pt           the last checkpoint, to go on from
    test.json           scores of the best weights on the test videos, once training has ended
    calibration.json    amplitude of the noise by lead time, fitted on the validation videos, and the spread with it
    prints.safetensors  prints of the frames that are trained on or choose the best epoch, to recognise them elsewhere
    samples/            input, truth and forecast of a validation clip after each epoch
    report.html         scores, learning curves and pictures

Every file is written under a temporary name and renamed, so that a kill at any moment leaves a folder that resumes.
Nothing that could run code is ever loaded: weights are safetensors, and resume.pt is read with weights_only=True,
which builds tensors and plain values only.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save

from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import RunError, first_line
from convlstm_cli.files import replacing, sweep, write_text, writing
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.paths import nearest, quoted
from convlstm_cli.runs import record
from convlstm_cli.runs.checkpoint import Checkpoint, load
from convlstm_cli.runs.folders import RUNS, check_free
from convlstm_cli.runs.records import DataRecord, EpochRecord, ResultRecord
from convlstm_cli.runs.weights import read_weights
from convlstm_cli.video.config import DataConfig, Pace
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.guides import Guide, guides_of
from convlstm_cli.video.values import BYTES, ValueRange

Section = TypeVar("Section")

SAMPLES = "samples"


class Run:
    """One run folder. `config` is the content of config.json.

    Commands that use a run ask for no more than its name, `config`, `model_config`, `geometry`, `pace`, `values`,
    `missing`, `chosen_channels`, `step`, `load_model`, `epochs` and `result`, so a run need not be a folder
    (`weights/pretrained.py`).
    """

    has_own_size = True
    """Whether its weights belong to frames of the size that it was trained at."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.folder = folder
        self.config = config

    @classmethod
    def create(cls, folder: Path, config: dict[str, Any]) -> "Run":
        """Makes a new run folder.

        Raises OutputError if there is something at `folder` already: runs are never overwritten.
        """
        run = cls(folder, config)
        check_free(folder)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        run.remove_partials()
        write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
        return run

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """Opens a run folder. Raises RunError if it is none, or its config.json is damaged."""
        path = folder / "config.json"
        if not folder.is_dir():
            raise cls._is_none(folder)
        if (folder / "comparison.json").exists():
            held = ", ".join(str(run.parent) for run in sorted(folder.glob("*/*/config.json")))
            raise RunError(f"{folder}: is a comparison; name one of its runs{': ' if held else ''}{held}.")
        try:
            config = record.read(path, record.as_object, "train again or restore it from a copy")
        except FileNotFoundError:
            raise cls._is_none(folder) from None
        if (folder / SAMPLES).is_symlink():
            raise RunError(f"{folder / SAMPLES}: is a link, so pictures would be written elsewhere; remove it.")
        run = cls(folder, config)
        run._check()  # a damaged configuration is found here, not in the middle of a command
        return run

    @classmethod
    def _is_none(cls, folder: Path) -> RunError:
        """The error for what is no run folder, with the run that may be meant."""
        if folder.is_dir():
            held = next(filter(cls.is_run, sorted(folder.iterdir())), None)
            what = "has no config.json, so it is no run folder" if held is None else "is no run folder, and holds some"
            remedy = "name one" if held is None else f"name one of them, such as {quoted(held)}"
            return RunError(f"{folder}: {what}; {remedy}.")
        below = Path(RUNS) / folder  # reports give the name alone
        guesses = (below, nearest(folder), nearest(below))
        meant = next((guess for guess in guesses if guess is not None and cls.is_run(guess)), None)
        remedy = f"`convlstm train` makes one under {RUNS}/." if meant is None else f"did you mean {quoted(meant)}?"
        return RunError(f"{folder}: is not a run folder; {remedy}")

    @staticmethod
    def is_run(path: Path) -> bool:
        """Whether a path is meant as a run, or a comparison, rather than as a folder of videos."""
        state = ("model.safetensors", "resume.pt")  # the second alone before its first epoch has ended
        return (path / "comparison.json").is_file() or (
            (path / "config.json").is_file() and any((path / name).is_file() for name in state)
        )

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.resolve().name

    @property
    def model_config(self) -> ForecasterConfig:
        """The network. Raises RunError where config.json does not describe one."""
        return self.read("model", ForecasterConfig)

    @property
    def geometry(self) -> FrameGeometry:
        """How frames are brought to the network's size. Raises RunError where config.json does not say."""
        settings = self._data_settings
        return FrameGeometry(settings.height, settings.width, settings.fit)

    @property
    def pace(self) -> Pace:
        """How frames become steps of time. Raises RunError where config.json does not say."""
        return self._data_settings.pace

    @property
    def values(self) -> ValueRange | None:
        """The range of values that becomes [0, 1], 0...255 if config.json has none; None for that of the input."""
        recorded = self.config["data"].get("values")
        return BYTES if recorded is None else ValueRange.from_dict(recorded)

    @property
    def missing(self) -> float | None:
        """The value that means no data, if --missing named one. Raises RunError where config.json does not say."""
        return self._data_settings.missing

    @property
    def found_missing(self) -> float | None:
        """The value that meant no data in its training, named or declared by the videos; None where there was none."""
        found: float | None = self.config["data"].get("missing")
        return found

    @property
    def chosen_channels(self) -> tuple[int | str, ...] | None:
        """The channels that --channels named. Raises RunError where config.json does not say."""
        return self._data_settings.channels

    @property
    def guides(self) -> tuple[Guide, ...]:
        """The channels that it reads and does not forecast."""
        return guides_of(self.config["data"])

    @property
    def step(self) -> float | None:
        """Seconds from one frame to the next in its training; None where they are unknown."""
        step: float | None = self.config["data"]["step"]
        return step

    @property
    def _data_settings(self) -> DataConfig:
        with self._reading("data"):
            return record.build(DataConfig, self.config["data"]["settings"])

    def read(self, section: str, kind: type[Section]) -> Section:
        """A part of config.json as the dataclass that it was written from. Raises RunError where it is damaged."""
        with self._reading(section):
            return record.build(kind, self.config[section])

    def was_trained_on(self, video: Path, first: int, last: int) -> bool:
        """Whether any of a video's frames `first` to `last`, counted from 1, is in the training or validation split."""
        split = self.config["data"].get("split", {})
        return any(
            entry["path"] == str(video.resolve()) and entry["source_start"] < last and first <= entry["source_stop"]
            for subset in ("train", "validation")
            for entry in split.get(subset, ())
        )

    def for_channels(self, channels: int) -> "Run":  # noqa: ARG002 - shipped weights have one network for each
        """The run that forecasts frames of so many channels: itself, in the channels that it was trained in."""
        return self

    @property
    def forecasts_members(self) -> bool:
        """Whether its network, or one beside it, reads noise and so forecasts members."""
        return self.model_config.noise

    def for_members(self) -> "Run":
        """The run whose network forecasts members: itself. Raises RunError where its network reads no noise."""
        if not self.forecasts_members:
            raise RunError(
                f"{self.folder}: forecasts one future of a video, as it was trained without --members; train a run "
                "with --members 2, or use -m pretrained."
            )
        return self

    def save_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Writes model.safetensors."""
        with replacing(self.folder / "model.safetensors") as written:
            # Not save_file, whose errors are the same for a full disk and for weights that it cannot store.
            written.write_bytes(save({name: tensor.contiguous().cpu() for name, tensor in weights.items()}))

    def load_weights(self) -> dict[str, torch.Tensor]:
        """The best weights, by the names of the network's parameters, on the CPU.

        Raises RunError if there are none yet, or they are damaged or of another network.
        """
        path = self.folder / "model.safetensors"
        if not path.is_file():
            raise RunError(
                f"{self.folder}: has no model.safetensors yet, because no epoch has ended; "
                f"go on with `convlstm train -o {quoted(self.folder)} --resume`."
            )
        return read_weights(path, self.model_config, "train again")

    def load_model(self, device: torch.device) -> EncoderForecaster:
        """The network with its best weights, in evaluation mode. Raises RunError as `load_weights` does."""
        weights = self.load_weights()  # first, because a network that they do not fit may be too large to make
        model = EncoderForecaster(self.model_config)
        model.load_state_dict(weights)
        return model.to(device).eval()

    def save_resume(self, checkpoint: Checkpoint) -> None:
        """Writes resume.pt: tensors and plain values only."""
        with replacing(self.folder / "resume.pt") as written, written.open("wb") as file:
            try:
                torch.save(checkpoint.to_plain(), file)
            except RuntimeError as error:
                # Its message about a failed write is of an unexpected position; the cause is its context.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

    def load_resume(self) -> Checkpoint | None:
        """What `save_resume` wrote, on the CPU, or None if there is nothing.

        Raises RunError if it is damaged or of another network.
        """
        path = self.folder / "resume.pt"
        if not path.exists():
            return None
        try:
            return load(path, self.model_config)
        except Exception as error:  # what unpickling raises depends on where the file is damaged
            if is_out_of_memory(error):
                raise
            raise RunError(
                f"{path}: cannot be read ({first_line(error)}); the best weights in model.safetensors still "
                "predict, but this run cannot go on: start a new one."
            ) from error

    def write_metrics(self, history: Sequence[EpochRecord]) -> None:
        """Writes metrics.jsonl whole, so that a resumed run neither misses nor doubles a line."""
        rows = (json.dumps(row.to_json(), allow_nan=False) + "\n" for row in history)
        write_text(self.folder / "metrics.jsonl", "".join(rows))

    def epochs(self) -> list[EpochRecord]:
        """The epochs of metrics.jsonl; none before the first has ended. Raises RunError if it is damaged."""
        try:
            return record.read_lines(self.folder / "metrics.jsonl", EpochRecord.from_json)
        except FileNotFoundError:
            return []

    def read_metrics(self) -> list[dict[str, Any]]:
        """`epochs` as JSON holds them."""
        return [row.to_json() for row in self.epochs()]

    def write_result(self, result: ResultRecord) -> None:
        """Writes test.json."""
        self.write_json("test.json", result.to_json())

    def result(self) -> ResultRecord | None:
        """The scores of test.json; None before training has ended. Raises RunError if it is damaged."""
        try:
            return record.read(self.folder / "test.json", ResultRecord.from_json)
        except FileNotFoundError:
            return None

    def read_test(self) -> dict[str, Any] | None:
        """`result` as JSON holds it."""
        result = self.result()
        return None if result is None else result.to_json()

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Writes a JSON file into the folder."""
        write_text(self.folder / name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def remove_partials(self) -> None:
        """Deletes unfinished files of killed processes; those that a living one, such as an evaluation, writes stay."""
        sweep(self.folder, below=True)

    def _check(self) -> None:
        """Raises RunError where config.json is damaged; fills in defaults of settings that it lacks."""
        model, geometry = self.model_config, self.geometry
        with self._reading("data"):
            data = record.build(DataRecord, self.config["data"])
            data.check_clips(model.clip_frames)
            known = sum(guide.known for guide in data.guides)
            if (geometry.height, geometry.width, data.channels, len(data.guides), known) != (
                model.height,
                model.width,
                model.channels,
                model.inputs,
                model.known,
            ):
                raise ValueError("its frames are not those of the network")
        for part in self.config.keys() & {"compute", "versions"}:
            with self._reading(part):
                record.build(dict[str, str | int | float | bool | None], self.config[part])
        filled = {"model": asdict(model), "data": asdict(data)}
        self.config |= json.loads(json.dumps(filled))  # with lists for tuples, as it is written

    @contextlib.contextmanager
    def _reading(self, section: str) -> Iterator[None]:
        """Turns an error about a part of config.json into a RunError that names the part."""
        try:
            yield
        except (KeyError, TypeError, ValueError) as error:
            detail = f"no {error}" if isinstance(error, KeyError) else first_line(error)
            raise RunError(
                f"{self.folder / 'config.json'}: its {section!r} part is damaged ({detail}); train again."
            ) from error

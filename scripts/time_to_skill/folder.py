"""The clips of a folder of videos, split as `convlstm train` splits it."""

import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.compute import device
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from convlstm_cli.video.tensors import to_float
from moving_mnist.settings import Settings
from moving_mnist.training import CHUNK


class FolderClips:
    """Clips of videos in grey, on the device. The test clips of the split choose nothing."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        """Raises InputError where the folder has too few frames to train, validate and test."""
        model = settings.model
        config = DataConfig((str(folder),), model.height, model.width, colour="grey")
        data = prepare(config, model.input_frames, model.horizon)
        self._train, self._validation, self._test = (data.clips(part) for part in ("train", "validation", "test"))
        self._device = device.choose(settings.train.device, settings.train.precision).device
        self._seed, self._batch_size = settings.train.seed, settings.train.batch_size
        self.input_frames = model.input_frames
        digests = sorted(data.library.digest(video.name) for video in data.library.videos)
        self.digest = zlib.crc32("".join(digests).encode())
        """A checksum of the frames of all videos."""

    def fitting(self, settings: Settings) -> Settings:
        """The settings with as many validation clips as there are, at most."""
        return replace(settings, validation_sequences=min(settings.validation_sequences, len(self._validation)))

    @property
    def test_clips(self) -> int:
        """Number of test clips."""
        return len(self._test)

    def batch(self, number: int) -> Tensor:
        """Training clips of a step, drawn with the seed and the number of the step."""
        random = np.random.default_rng((self._seed, number))
        return self._stacked(self._train, random.integers(len(self._train), size=self._batch_size).tolist())

    def validation(self, chunk: int) -> Tensor:
        """The validation clips CHUNK * chunk to CHUNK * (chunk + 1)."""
        return self._stacked(self._validation, _chunk(chunk, len(self._validation)))

    def test(self, chunk: int) -> Tensor:
        """The test clips CHUNK * chunk to CHUNK * (chunk + 1)."""
        return self._stacked(self._test, _chunk(chunk, len(self._test)))

    def _stacked(self, clips: ClipDataset, positions: list[int]) -> Tensor:
        return to_float(torch.stack([clips[position] for position in positions]), self._device)


def _chunk(chunk: int, count: int) -> list[int]:
    return list(range(chunk * CHUNK, min((chunk + 1) * CHUNK, count)))

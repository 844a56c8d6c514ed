"""Writes the files of one forecast while it is computed, and scores it where the true frames are known."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.conversion import FrameConversion, fitted
from convlstm_cli.forecasting.members import MembersFile
from convlstm_cli.forecasting.output import MEMBERS, SCORED, write_members, writing_forecast
from convlstm_cli.forecasting.placement import Writing
from convlstm_cli.forecasting.prepared import Prepared
from convlstm_cli.forecasting.record import SpreadRecord
from convlstm_cli.forecasting.statistics import Statistics
from convlstm_cli.predicting.members import members_of
from convlstm_cli.predicting.pieces import Piece
from convlstm_cli.reporting.truth_strip import TruthStrip
from convlstm_cli.scoring.guarded_members import GuardedMembers
from convlstm_cli.scoring.known import KnownFuture, KnownScores
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.missing import mark

if TYPE_CHECKING:
    from convlstm_cli.reporting.members_film import MembersFilm
    from convlstm_cli.reporting.spread_maps import SpreadMaps


def write_forecast(
    folder: Path,
    prepared: Prepared,
    pieces: Iterator[Piece],
    config: PredictConfig,
    writing: Writing,
    members: MembersFile | None = None,
) -> tuple[KnownScores | None, SpreadRecord | None]:
    """Computes, scores and writes the frames of a forecast.

    `pieces` are those of `compute_pieces`, or the means of `members` where these were asked for. Returns the scores
    where the truth is known, and the spread of an ensemble.
    """
    conversion, followed = prepared.conversion, prepared.clip.followed
    count = len(prepared.networks if members is None else members)
    truth = _Truth(prepared, count, at_model_size=config.writes_model_size) if followed else None
    maps = _spread_maps(folder, prepared.horizon) if count > 1 else None
    with writing_forecast(folder, conversion, writing, config, scored=followed) as write:
        for piece in pieces:
            following = [] if truth is None else truth.compare(piece, members)
            if maps and piece.spread is not None:
                maps.add(piece.spread)
            for frame, true in itertools.zip_longest(map(conversion.to_values, piece.frames[0]), following):
                write(frame, true, piece.found)
    numbers = "npy" in config.formats and members is None  # of members they are written in every format
    spread = _write_spread(maps, conversion, numbers) if maps else None
    return None if truth is None else truth.finish(folder), spread


def write_forecast_of_members(
    folder: Path,
    prepared: Prepared,
    guarded: GuardedMembers | None,
    config: PredictConfig,
    writing: Writing,
    compute: Compute,
) -> tuple[KnownScores | None, SpreadRecord | None]:
    """Computes members, and writes their mean as the forecast, and what is asked for of them.

    Returns the scores where the truth is known, and the spread.
    """
    conversion = prepared.conversion
    statistics = Statistics(conversion.values, config.quantiles, config.exceed)
    with members_of(prepared, guarded, config, compute, folder) as members:
        film = None if config.members is None else _members_film(folder, members)
        pieces = _summarised(members, statistics, film)
        scores, spread = write_forecast(folder, prepared, pieces, config, writing, members)
        if film is not None:
            each = [_frames_of(members, number, conversion) for number in range(len(members))]
            write_members(folder, conversion, writing, each)
            assert spread is not None
            film.write((folder / MEMBERS).with_suffix(".webm"), conversion, writing.fps, spread.full_scale)
    return scores, spread


class _Truth:
    """The frames that are known to have followed the input, against which a forecast is scored as it is computed."""

    def __init__(self, prepared: Prepared, count: int, *, at_model_size: bool) -> None:
        """`count` is the number of members; with `at_model_size` the true frames are returned at that size."""
        self._conversion, self._channels = prepared.conversion, prepared.networks.channels
        self._following, self._at_model_size = prepared.clip.following, at_model_size
        self._scores = KnownFuture(_last_frame(prepared), count, self._conversion.values)
        self._strip = TruthStrip(prepared.frames[:, :, : self._channels], self._conversion.painter)
        self._done = 0

    def compare(self, piece: Piece, members: MembersFile | None) -> list[Frame]:
        """Scores the next piece of the forecast, and the members at its lead times.

        Returns the true frames (H, W, C), of which there may be fewer than of the forecast.
        """
        first, count = self._done, piece.frames.shape[1]
        self._done += count
        conversion = self._conversion
        following = [mark(frame, conversion.missing) for frame in itertools.islice(self._following, count)]
        if not following:
            return following
        frames = fitted(following, conversion.geometry, self._channels, conversion.missing)
        truth, there = conversion.to_truth(frames)
        self._scores.add(piece.frames, truth, piece.spread, there)
        if members is not None:
            for lead in range(truth.shape[1]):
                counted = None if there is None else there[0, lead]
                self._scores.add_members(members.bands(first + lead), truth[0, lead], counted)
        self._strip.add(piece.frames, conversion.to_clip(frames))
        return list(frames) if self._at_model_size else following

    def finish(self, folder: Path) -> KnownScores:
        """Writes the picture of the truth beside the forecast, and returns the scores."""
        self._strip.write(folder / SCORED.with_suffix(".png"))
        return self._scores.scores()


def _last_frame(prepared: Prepared) -> Tensor:
    """The last input frame as it is scored, (1, 1, C, H, W); values outside the range lie outside [0, 1]."""
    conversion, channels = prepared.conversion, prepared.networks.channels
    return conversion.to_truth(fitted(prepared.clip.inputs[-1:], conversion.geometry, channels, conversion.missing))[0]


def _frames_of(members: MembersFile, number: int, conversion: FrameConversion) -> Iterator[Frame]:
    """The frames of a member, as the source has them."""
    return (conversion.to_values(members.frame(number, lead)) for lead in range(members.horizon))


def _summarised(members: MembersFile, statistics: Statistics, film: "MembersFilm | None") -> Iterator[Piece]:
    """The mean of members, lead time by lead time, with all that is asked about them; `film` collects it too."""
    for lead in range(members.horizon):
        found = statistics.at(members, lead)
        if film is not None:
            film.add(found)
        yield Piece(found.mean[None, None], found.spread[None, None], found)


def _members_film(folder: Path, members: MembersFile) -> "MembersFilm":
    """What makes the film of members, their mean and their spread."""
    # It draws the spread with matplotlib, as `_spread_maps` does.
    from convlstm_cli.reporting.members_film import MembersFilm

    return MembersFilm(folder, members)


def _spread_maps(folder: Path, horizon: int) -> "SpreadMaps":
    """What collects the spread of an ensemble."""
    # matplotlib takes as long to import as most forecasts take, and one network needs none.
    from convlstm_cli.reporting.spread_maps import SpreadMaps

    return SpreadMaps(folder, horizon)


def _write_spread(maps: "SpreadMaps", conversion: FrameConversion, numbers: bool) -> SpreadRecord:
    """Writes the pictures of an ensemble's spread, and its `numbers` where these are wanted."""
    scale = maps.write(conversion.spread, keep=numbers)
    return SpreadRecord(scale, maps.colour_map, tuple(maps.by_lead_time))

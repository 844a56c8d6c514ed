"""Writes the frames of a forecast in every format that is asked for, in a thread of its own."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from convlstm_cli.compute.background import in_background
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.conversion import FrameConversion
from convlstm_cli.forecasting.placement import Writing, of_shares, of_spread
from convlstm_cli.forecasting.statistics import LeadTime
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers import open_writer
from convlstm_cli.video.writers.base import FrameWriter

WAITING = 8
"""Frames that may wait to be written: few for memory, enough that computing and writing overlap."""
MEMBERS = "members"
"""Stem of the files of members, and the folder of those that are files of their own."""
SCORED = Path("scored", "truth-and-forecast")
"""Stem of what a scored forecast adds; in a folder of its own, so that the frames beside it stay an image sequence."""


@contextlib.contextmanager
def writing_forecast(
    folder: Path,
    conversion: FrameConversion,
    writing: Writing,
    config: PredictConfig,
    *,
    scored: bool,
) -> Iterator[Callable[[Frame, Frame | None, LeadTime | None], None]]:
    """Yields a function that takes each frame of the forecast, the true frame where that is known, and of members what
    they say together there, if `config` asks for any.

    It hands them to a thread, which writes the forecast in each format and, where `scored`, also the truth beside the
    forecast, in the formats of one file that say nothing of where and when their frames are. All files are complete
    when the block ends well. There is one thread for all of them, since the libraries of some formats bear no more.

    Raises OutputError where a file cannot be written.
    """
    with contextlib.ExitStack() as stack:
        alone = _open(stack, folder / "forecast", folder, writing)
        both = _open(stack, folder / SCORED, folder / SCORED.parent, _unplaced(writing)) if scored else []

        statistics = None
        if config.asks_for_members:
            statistics = _open_statistics(stack, folder, conversion, writing, config)

        def write(frame: Frame, true: Frame | None, found: LeadTime | None) -> None:
            frame = conversion.to_written(frame)
            _write(alone, frame, conversion)
            if both and true is not None:
                _write(both, np.hstack((conversion.coloured(true), frame)), conversion)
            if statistics is not None and found is not None:
                statistics(found)

        # Entered last, so that the thread has ended before a writer is closed.
        yield stack.enter_context(in_background(write, ahead=WAITING))


def write_members(
    folder: Path, conversion: FrameConversion, writing: Writing, members: Sequence[Iterable[Frame]]
) -> None:
    """Writes the members of a forecast, one after another, so that only one of them has open files.

    Formats that can hold all of them in one file, along an axis of their own, do: members.nc. Others have a file or a
    folder for each: members/member_01.webm. `members` gives the frames of each; else as `writing_forecast`.
    """
    stacking = tuple(name for name in writing.formats if OUTPUT_FORMATS[name].stacks_members)
    stacked = replace(writing, formats=stacking, placement=replace(writing.placement, members=len(members)))
    single = replace(writing, formats=tuple(name for name in writing.formats if name not in stacking))
    digits = max(2, len(str(len(members))))
    stem = folder / MEMBERS
    with contextlib.ExitStack() as stack:
        together = _open(stack, stem, stem, stacked)
        for number, frames in enumerate(members, start=1):
            alone = stem / f"member_{number:0{digits}d}"
            with contextlib.ExitStack() as inner:
                writers = [*together, *_open(inner, alone, alone, single)]
                for frame in frames:
                    _write(writers, conversion.to_written(frame), conversion)


def _open_statistics(
    stack: contextlib.ExitStack, folder: Path, conversion: FrameConversion, writing: Writing, config: PredictConfig
) -> Callable[[LeadTime], None]:
    """A function that writes the statistics of members at each lead time, as far as `config` asks for them.

    Each of the quantiles has files as a forecast has, quantile_0.5.nc; so has the share of members that reach each
    value, exceed_1.0.nc, as floats in [0, 1]; and so has their standard deviation, spread.nc, in formats that hold
    floats, in the unit of the source. Images of each stand in a folder of that name.
    """
    shares, deviation = conversion.of_shares, conversion.of_spread
    placement = writing.placement
    floats = tuple(name for name in writing.formats if "float32" in OUTPUT_FORMATS[name].load_writer().types)

    def opened(name: str, writing: Writing) -> list[FrameWriter]:
        return _open(stack, folder / name, folder / name, writing)

    spread = opened("spread", replace(writing, formats=floats, placement=of_spread(placement)))
    quantiles = [opened(f"quantile_{each}", writing) for each in config.quantiles]
    exceedance = [
        opened(f"exceed_{each}", replace(writing, placement=of_shares(placement, each))) for each in config.exceed
    ]

    def write(found: LeadTime) -> None:
        _write(spread, deviation.to_written(found.deviation.permute(1, 2, 0).float().numpy()), deviation)
        for writers, pixels in zip(quantiles, found.quantiles, strict=True):
            _write(writers, conversion.to_written(conversion.to_values(pixels)), conversion)
        for writers, pixels in zip(exceedance, found.exceedance, strict=True):
            _write(writers, shares.to_written(shares.to_values(pixels)), shares)

    return write


def _write(writers: Sequence[FrameWriter], frame: Frame, conversion: FrameConversion) -> None:
    """Gives each writer the frame itself, if it keeps such values, or else a picture of it, with alpha if it can.

    A film is in colours.
    """
    for writer in writers:
        if writer.is_preview and conversion.has_colours:
            writer.write(conversion.preview(frame))
        else:
            writer.write(frame if writer.keeps(frame) else conversion.picture(frame, alpha=writer.takes_alpha))


def _unplaced(writing: Writing) -> Writing:
    """The same in the formats of one file that say nothing of where and when their frames are."""
    kinds = {name: OUTPUT_FORMATS[name] for name in writing.formats}
    plain = tuple(name for name, kind in kinds.items() if not (kind.is_folder or kind.placed))
    return replace(writing, formats=plain, placement=Placement())


def _open(stack: contextlib.ExitStack, stem: Path, images: Path, writing: Writing) -> list[FrameWriter]:
    """A writer for each format: to `stem` with the format's suffix, or of images into the folder `images`."""
    writers = []
    for name in writing.formats:
        output_format = OUTPUT_FORMATS[name]
        # Not with_suffix, which would take the last digits off a name such as quantile_0.5.
        file = stem.with_name(f"{stem.name}{output_format.suffix}")
        path = images / output_format.folder if output_format.layout == "images" else file
        opened = open_writer(path, name, writing.fps, names=writing.names, placement=writing.placement)
        writers.append(stack.enter_context(opened))
    return writers

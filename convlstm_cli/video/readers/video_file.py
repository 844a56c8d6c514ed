"""Video files of any container: OpenCV decodes the ordinary ones, and PyAV what OpenCV gets wrong or gives up."""

import contextlib
from collections.abc import Generator
from pathlib import Path

from convlstm_cli.video.colour import GREY_TOLERANCE
from convlstm_cli.video.readers.checks import changed_size
from convlstm_cli.video.readers.container import ContainerFacts, Decision, decide, declared_range, probe
from convlstm_cli.video.readers.opencv_frames import opencv_frames
from convlstm_cli.video.readers.pyav_frames import after_opencv, pyav_frames
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.readers.video_reader import TimedFrame, VideoReader

# fmt: off
SUFFIXES = frozenset({
    ".3gp", ".asf", ".avi", ".dv", ".flv", ".gif", ".h264", ".h265", ".hevc", ".ivf", ".m2ts", ".m4v", ".mjpeg",
    ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on


def open_file(path: Path) -> VideoReader:
    """Opens a video file of any container. Raises InputError for a file that is none, or holds no video."""
    facts = probe(path)
    decision = decide(facts)
    notes: list[str] = []
    if facts.streams > 1:
        notes.append(f"it has {facts.streams} video streams, of which number {facts.stream + 1} is taken")
    return VideoReader(
        path,
        READER.name,
        _of_one_size(path, _decode(path, facts, decision, notes)),
        facts.declared_frames,
        facts.fps,
        GREY_TOLERANCE,
        notes=notes,
        decoder=decision.decoder,
        decoder_reason=_listed(decision.reasons) if decision.reasons else None,
        declared_range=declared_range(facts),
    )


READER = Reader("file", "video files of any container that FFmpeg decodes", SUFFIXES, open_file)


def _decode(
    path: Path, facts: ContainerFacts, decision: Decision, notes: list[str]
) -> Generator[TimedFrame, None, None]:
    if decision.decoder == "OpenCV":
        halt = yield from opencv_frames(path, facts, notes)
        if halt is not None:
            yield from after_opencv(path, facts, notes, halt)
            return
        notes.append("PyAV decodes it, since OpenCV gives no frame of it")
    yield from pyav_frames(path, facts, notes)


def _of_one_size(path: Path, frames: Generator[TimedFrame, None, None]) -> Generator[TimedFrame, None, None]:
    """The frames. Raises InputError for one of another size than the first."""
    first: tuple[int, ...] | None = None
    with contextlib.closing(frames):
        for number, frame in enumerate(frames, start=1):
            now = frame.pixels.shape[:2]
            first = first or now
            if now != first:
                raise changed_size(path, first, now, number)
            yield frame


def _listed(reasons: tuple[str, ...]) -> str:
    *others, last = reasons
    return f"{', '.join(others)} and {last}" if others else last

"""Video files of any container: OpenCV decodes the ordinary ones, and PyAV what OpenCV gets wrong or gives up."""

from collections.abc import Generator
from pathlib import Path

from convlstm_cli.video.colour import GREY_TOLERANCE
from convlstm_cli.video.readers.base import Reader, TimedFrame, VideoReader
from convlstm_cli.video.readers.container import ContainerFacts, Decision, decide, probe
from convlstm_cli.video.readers.opencv_frames import opencv_frames
from convlstm_cli.video.readers.pyav_frames import packets_behind, pyav_frames

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
    notes = [] if not decision.reasons else [f"PyAV decodes it, not OpenCV, since it {_listed(decision.reasons)}"]
    if facts.interlaced:
        notes.append("it is deinterlaced: each two fields are one frame")
    return VideoReader(
        path,
        READER.name,
        _decode(path, facts, decision, notes),
        facts.declared_frames,
        facts.fps,
        GREY_TOLERANCE,
        notes=notes,
        decoder=decision.decoder,
    )


READER = Reader("file", "video files of any container that FFmpeg decodes", SUFFIXES, open_file)


def _decode(
    path: Path, facts: ContainerFacts, decision: Decision, notes: list[str]
) -> Generator[TimedFrame, None, None]:
    stop = None
    if decision.decoder == "OpenCV":
        stop = yield from opencv_frames(path, facts, notes)
        if stop is None:
            notes.append("PyAV decodes it, since OpenCV gives no frame of it")
        elif not packets_behind(path, facts, stop):
            return
    yield from pyav_frames(path, facts, notes, stop)


def _listed(reasons: tuple[str, ...]) -> str:
    *others, last = reasons
    return f"{', '.join(others)} and {last}" if others else last

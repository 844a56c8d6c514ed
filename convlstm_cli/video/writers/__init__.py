"""Writers of frames: one small file for each kind, over the one base class `FrameWriter`.

Owns the files that frames become; `open_writer` opens the writer that `video/formats.py` names for a format. A file is
whole or not there: it is written beside its place and renamed into it, and so is a store, which is a folder.
May import the other files of video/ and the base modules."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from convlstm_cli.files import replacing, replacing_folder
from convlstm_cli.settings import check_choice
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers.base import FrameWriter

STORE = "zarr.json"
"""A file that a store has and by which one is known that may be replaced; other folders are left alone."""


@contextlib.contextmanager
def open_writer(
    path: Path,
    format_name: str,
    fps: float,
    *,
    names: Sequence[str] | None = None,
    placement: Placement | None = None,
) -> Iterator[FrameWriter]:
    """Yields a writer of frames to `path` in one of OUTPUT_FORMATS; the file is complete when the block ends well.

    `fps` is in frames per second; only videos store it. `names` are those of images, without their suffix; None numbers
    them. `placement` says what the frames are, to formats that keep that. After any exception an older file is as it
    was and nothing of the new one is left.

    Raises:
        UsageError: an unknown format.
        DependencyError: a library that is missing.
        OutputError: no frame, a frame unlike the first, or a file that cannot be written.
    """
    check_choice("--format", format_name, OUTPUT_FORMATS)
    output_format = OUTPUT_FORMATS[format_name]
    with contextlib.ExitStack() as stack:
        match output_format.layout:
            case "images":  # cannot be renamed into a folder that exists, so their writer cleans up after itself
                partial = path
            case "store":
                partial = stack.enter_context(replacing_folder(path, STORE))
            case "file":
                partial = stack.enter_context(replacing(path))
        cleanup = stack.enter_context(contextlib.ExitStack())
        writer = output_format.load_writer()(path, partial, fps, cleanup)
        writer.names = names
        writer.placement = placement or Placement()
        yield writer
        writer.finish()

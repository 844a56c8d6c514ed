"""Writers of frames: one small file for each kind, over the one base class `FrameWriter`.

Owns the files that frames become; `open_writer` opens the writer that `video/formats.py` names for a format. A file is
whole or not there: it is written beside its place and renamed into it.
May import the other files of video/ and the ground."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from convlstm_cli.files import replacing
from convlstm_cli.settings import check_choice
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.writers.base import FrameWriter


@contextlib.contextmanager
def open_writer(
    path: Path, format_name: str, fps: float, *, names: Sequence[str] | None = None
) -> Iterator[FrameWriter]:
    """Yields a writer of frames to `path` in one of OUTPUT_FORMATS; the file is complete when the block ends well.

    `fps` is in frames per second; png and npy do not store it. `names` are those of the images that png
    writes, without their suffix; None numbers them. After any exception an older file is as it was
    and nothing of the new one is left.

    Raises:
        UsageError: an unknown format.
        OutputError: no frame, a frame unlike the first, or a file that cannot be written.
    """
    check_choice("--format", format_name, OUTPUT_FORMATS)
    output_format = OUTPUT_FORMATS[format_name]
    with contextlib.ExitStack() as stack:
        # A folder of files cannot be renamed into a folder that exists, so its writer cleans up after itself.
        partial = path if output_format.is_folder else stack.enter_context(replacing(path))
        cleanup = stack.enter_context(contextlib.ExitStack())
        writer = output_format.load_writer()(path, partial, fps, cleanup)
        writer.names = names
        yield writer
        writer.finish()

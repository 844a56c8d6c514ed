"""What people should know of how videos are read and cut, as lines."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from convlstm_cli.video.search import Note, aggregated

if TYPE_CHECKING:
    from convlstm_cli.video.library import Video

MOST_NOTED = 20
"""Lines of notes that are shown."""


def noted(videos: "Sequence[Video]") -> list[str]:
    """The first notes on how videos are read and cut; what is the same for several videos is one line."""
    lines = aggregated([Note(video.path, text) for video in videos for text in video.notes])
    more = len(lines) - MOST_NOTED
    return lines if more <= 0 else [*lines[:MOST_NOTED], f"and {more} more notes; convlstm inspect --json has all"]

"""What people should know of how videos are read and cut, as lines."""

from collections.abc import Sequence

from convlstm_cli.video.library import Video

MOST_NOTED = 20
"""Videos whose notes are shown."""


def noted(videos: Sequence[Video]) -> list[str]:
    """A line for each of the first videos that are read or cut in a way that people should know of."""
    lines = [f"{video.path}: {'; '.join(video.notes)}" for video in videos if video.notes]
    more = len(lines) - MOST_NOTED
    return lines if more <= 0 else [*lines[:MOST_NOTED], f"and of {more} more videos; convlstm inspect --json has all"]

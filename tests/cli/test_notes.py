import dataclasses
from pathlib import Path

from made_up_evaluation import made_up_video

from convlstm_cli.cli.notes import MOST_NOTED, noted


def test_equal_notes_are_one_line() -> None:
    video = made_up_video("a")
    videos = [
        dataclasses.replace(video, path=Path(f"{n}.mts"), notes=("it is deinterlaced", *(["it has a gap"] * (n == 3))))
        for n in range(1000)
    ]
    assert noted(videos) == ["0.mts and 999 more: it is deinterlaced", "3.mts: it has a gap"]


def test_the_number_of_lines_is_limited() -> None:
    videos = [dataclasses.replace(made_up_video("a"), notes=(f"it has a gap at {n}",)) for n in range(MOST_NOTED + 5)]
    lines = noted(videos)
    assert len(lines) == MOST_NOTED + 1
    assert lines[-1].startswith("and 5 more notes")

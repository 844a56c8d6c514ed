"""Material that several test files use."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

TINY = ["--size", "32", "--hidden", "4", "--kernel-size", "3", "--input-frames", "4", "--frames", "3"]
"""Options of a network that trains in no time."""


def data_record(height: int, width: int, channels: int = 1, fit: str = "pad") -> dict[str, Any]:
    """What config.json says of the data, of videos that are nowhere."""
    source = {"source_start": 0, "source_stop": 20}
    part = {"video": "a", "start": 0, "stop": 20, **source, "path": "/x/a", "frames": 20, "digest": "1"}
    return {
        "settings": {"folders": ["/x"], "height": height, "width": width, "fit": fit},
        "channels": channels,
        "step": None,
        "split": {"how": "by video", "group_by": None, "train": [part], "validation": [part], "test": [part]},
        "problems": [],
    }


def moving_square(frames: int, seed: int, size: int = 32, channels: int = 1) -> npt.NDArray[np.uint8]:
    """(T, size, size, channels): a bright square that moves 2 pixels a frame and comes in again on the other side."""
    rng = np.random.default_rng(seed)
    row, column = rng.integers(0, size, 2)
    down, right = rng.choice([-2, 2], 2)
    colour = rng.integers(120, 255, channels)
    video = np.full((frames, size, size, channels), 10, np.uint8)
    for t in range(frames):
        rows = (row + down * t + np.arange(8)) % size
        columns = (column + right * t + np.arange(8)) % size
        video[t][np.ix_(rows, columns)] = colour
    return video


def small_videos(folder: Path) -> Path:
    """The folder, made with three videos of 6 frames of 16x16."""
    folder.mkdir()
    for seed in range(3):
        np.save(folder / f"{seed}.npy", moving_square(6, seed=seed, size=16))
    return folder


def draw_nothing(patch: pytest.MonkeyPatch) -> None:
    """Reports of runs are written without their charts, and those of comparisons with empty ones.

    To build and draw them takes as long as a small training; tests/reporting draws them.
    """
    patch.setattr("convlstm_cli.reporting.page.line_chart", lambda *_, **_options: "<svg></svg>")
    patch.setattr("convlstm_cli.reporting.run_page.curves_chart", lambda *_: "<svg></svg>")
    for charts in ("line_charts", "bar_charts", "forest_chart"):
        patch.setattr(f"convlstm_cli.reporting.{charts}.to_svg", lambda *_: "<svg></svg>")


VOID = {"meta", "img", "br", "input"}


class Balance(HTMLParser):
    """Finds tags that are not closed, ids that are there twice, and addresses of other servers."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def check_page(page: str) -> None:
    """One whole HTML page that needs nothing beside it."""
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert all(address.startswith(("data:", "#")) for address in parser.addresses)
    assert {address[1:] for address in parser.addresses if address.startswith("#")} <= set(parser.ids)

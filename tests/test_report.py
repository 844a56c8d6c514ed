import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import torch

from convlstm_cli.data import prepare
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.report import strip, to_image, write_strip
from convlstm_cli.settings import DataConfig, TrainConfig
from convlstm_cli.train import train
from convlstm_cli.video.reader import open_video

VOID = {"meta", "img", "br", "path", "use", "circle", "rect", "dc:type"}


class Balance(HTMLParser):
    """Finds tags that are not closed, and addresses of other servers."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_frames_become_pictures_with_colours_in_place() -> None:
    red = torch.zeros(3, 2, 2)
    red[0] = 1.0
    assert (to_image(red) == [255, 0, 0]).all()
    grey = to_image(torch.full((1, 2, 2), 0.5))
    assert grey.shape == (2, 2, 3)
    assert (grey == 128).all()


def test_a_strip_holds_its_frames(tmp_path: Path) -> None:
    rows = {"input": torch.zeros(4, 3, 32, 32), "forecast": torch.zeros(2, 3, 32, 32)}
    rows["forecast"][1, 0] = 1.0
    picture = strip(rows)
    red = (picture == [255, 0, 0]).all(axis=-1)
    assert red.sum() == 96 * 96
    write_strip(tmp_path / "strip.png", rows)
    with open_video(tmp_path / "strip.png") as video:
        assert np.array_equal(next(iter(video)), picture)


def test_the_report_is_one_whole_file_that_needs_no_network(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "<broken>.mp4").write_bytes(b"no video")
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    model = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
    result = train(data, model, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert all(address.startswith(("data:", "#")) for address in parser.addresses)
    assert "&lt;broken&gt;.mp4" in page
    assert f"{result.test.model.mean_mse:.5f}" in page
    assert len(re.findall(r"<svg", page)) == 2
    for subset in ("train", "validation", "test"):
        for segment in getattr(data.split, subset):
            assert segment.video in page

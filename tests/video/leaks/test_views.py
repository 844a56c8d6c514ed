from dataclasses import dataclass

import pytest

from convlstm_cli.video.leaks.components import components
from convlstm_cli.video.leaks.views import describe_views, find_views
from convlstm_cli.video.split import split


@dataclass(frozen=True)
class Clip:
    name: str
    frames: int = 60

    @property
    def pieces(self) -> tuple[tuple[int, int], ...]:
        return ((0, self.frames),)


@pytest.mark.parametrize(
    "names",
    [
        ("left_*.png", "right_*.png"),
        ("L*.png", "R*.png"),
        ("scene/*_left.mp4", "scene/*_right.mp4"),
        ("img_*_C0.tif", "img_*_C1.tif", "img_*_C2.tif"),
        ("t*_x0_y0.png", "t*_x0_y1.png", "t*_x1_y0.png"),
        ("red_*.tif", "green_*.tif"),
        ("IMG_*_-2EV.jpg", "IMG_*_0EV.jpg"),
    ],
)
def test_views_of_one_scene_are_divided_at_the_same_times(names: tuple[str, ...]) -> None:
    clips = [Clip(name) for name in names]
    views = find_views(clips)
    result = split(clips, 6, seed=0, overlaps=views)
    for part in (result.train, result.validation, result.test):
        assert {each.video for each in part} == set(names)
        assert len({(each.start, each.stop) for each in part}) == 1
    assert names[0] in describe_views(views)[0]


def test_what_only_looks_like_views() -> None:
    clips = [Clip("v_Bike_g01_c01.avi"), Clip("v_Bike_g01_c02.avi"), Clip("leftover.mp4"), Clip("rightover.mp4")]
    assert find_views([*clips, Clip("left.mp4", 50), Clip("right.mp4", 60)]) == []


def test_scenes_are_kept_apart() -> None:
    clips = [Clip(f"{scene}/{side}_*.png") for scene in "abc" for side in ("left", "right")]
    assert [len(each.videos) for each in components([clip.name for clip in clips], find_views(clips), {})] == [2, 2, 2]

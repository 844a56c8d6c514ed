import pytest

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.video.leaks.groups import check_group_by, find_groups


@pytest.mark.parametrize(
    ("names", "group"),
    [
        ("person{:02}_walking_d{}.avi", "person03"),
        ("walking/person{:02}_d{}.avi", "person03"),
        ("v_ApplyEyeMakeup_g{:02}_c{:02}.avi", "v_ApplyEyeMakeup_g03"),
        ("202401{:02}_{:02}00.mp4", "20240103"),
        ("202401{:02}{:02}00.mp4", "20240103"),
        ("cam_2024-01-{:02}T{:02}.mp4", "cam_2024-01-03"),
        ("patient{:02}/slice{}.avi", "patient03"),
        ("Show.S01E{:02}.part{}.mp4", "S01E03"),
    ],
)
def test_auto(names: str, group: str) -> None:
    made = [names.format(number, part) for number in range(1, 5) for part in range(1, 4)]
    groups = find_groups(made, "auto")
    assert groups.of[names.format(3, 2)] == group
    assert sorted(map(len, groups.members().values())) == [3, 3, 3, 3]
    assert f"{group[:4]}" in groups.describe()
    assert "--group-by none" in groups.describe()


def test_days_of_two_cameras_are_groups() -> None:
    names = [f"cam{camera}_202401{day:02}_1200.mp4" for camera in (1, 2) for day in range(1, 5)]
    assert sorted(find_groups(names, "auto").members()) == ["20240101", "20240102", "20240103", "20240104"]


@pytest.mark.parametrize(
    "names",
    [
        [f"clip_{number:02}.mp4" for number in range(9)],
        [f"{kind}/{number:04}.mp4" for kind in ("cat", "dog") for number in range(9)],
        [f"person{number}_{part}.avi" for number in (1, 2) for part in range(9)],
        [f"person{number}_{part}.avi" for number in range(4) for part in range(2)] + ["other.avi"],
        [f"{name}.mp4" for name in "abcdef"],
    ],
)
def test_mere_numbers_are_no_groups(names: list[str]) -> None:
    assert not find_groups(names, "auto").of


def test_a_pattern() -> None:
    names = ["a1x.avi", "b1y.avi", "c2.avi", "other.avi"]
    assert find_groups(names, r"[a-z](\d)").members() == {"1": ["a1x.avi", "b1y.avi"], "2": ["c2.avi"]}
    assert find_groups(names, r"[a-z]\d").of["c2.avi"] == "c2"
    assert not find_groups(names, "none").of
    with pytest.raises(InputError, match=r"--group-by is 'z\+'.*a1x"):
        find_groups(names, "z+")
    for broken in ("(", ""):
        with pytest.raises(UsageError, match="--group-by"):
            check_group_by(broken)

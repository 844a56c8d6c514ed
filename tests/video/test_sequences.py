"""What the images of a folder are, by names that are made so that the right answer is known."""

import time
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.video.sequences.companions import Header
from convlstm_cli.video.sequences.grouping import group
from convlstm_cli.video.sequences.result import Grouping

WORDS = st.sampled_from(
    ["", "frame", "img_", "T", "U-", "cam front ", "über", "a.b.", "Bild (", "IMG_7b", "x=", "exp#"]
)
TAILS = st.sampled_from(["", "_raw", "-b", " (x)", ".scaled"])


def grouped(names: Sequence[str], beside: Sequence[str] = (), headers: dict[str, Header] | None = None) -> Grouping:
    """Groups names in an order that is of no help; no file is there to be opened."""
    return group(sorted(names, key=lambda name: zlib.crc32(name.encode())), (headers or {}).get, beside)


def orders(names: Sequence[str]) -> list[tuple[str, ...]]:
    found = grouped(names)
    assert not found.left_out
    return [sequence.names for sequence in found.sequences]


@st.composite
def numberings(draw: st.DrawFn) -> list[str]:
    """Texts of numbers in rising order: padded, with a stride, decimal, scientific, or below zero."""
    count, first, stride = draw(st.integers(2, 30)), draw(st.integers(0, 200)), draw(st.integers(1, 40))
    values = [first + stride * step for step in range(count)]
    kind = draw(st.sampled_from(["plain", "padded", "decimal", "scientific", "signed"]))
    if kind == "padded":
        return [f"{value:0{draw(st.integers(1, 6))}d}" for value in values]
    if kind == "decimal":
        step = draw(st.sampled_from([0.05, 0.1, 0.25, 0.5, 1.5]))
        return [f"{step * number:g}" for number in range(1, count + 1)]
    if kind == "scientific":
        return [f"{10.0**exponent:.1e}" for exponent in range(-5, -5 + count)]
    if kind == "signed":
        return [f"{number:+d}" for number in range(-count // 2, -count // 2 + count)]
    return [str(value) for value in values]


@settings(deadline=None)
@given(numberings(), WORDS, TAILS)
def test_numbers_rise_in_one_sequence(numbers: list[str], word: str, tail: str) -> None:
    names = [f"{word}{number}{tail}.png" for number in numbers]
    assert orders(names) == [tuple(names)]


DATES = ["%Y%m%d_%H%M", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y-%m-%dT%H-%M-%S", "%Y.%m.%d %H.%M", "%Y_%m_%d_%H_%M"]
DATES += [
    "%Y%j%H%M",
    "%Y%m%d-%H%M%S",
    "%d-%m-%Y_%H-%M",
    "%Y-%m-%d at %I.%M.%S %p",
    "%Y%m%dT%H%M%SZ",
    "epoch",
    "epoch ms",
]
DATES += ["%Y-%m-%d-%Hh%Mm%Ss", "%Y%b%d_%H%M", "%d-%b-%Y %H-%M", "%B_%d_%Y_%H-%M", "%Y-%m-%d at %I.%M.%S\u202f%p"]


@settings(deadline=None)
@given(
    st.sampled_from(DATES),
    st.datetimes(datetime(2002, 1, 1), datetime(2032, 1, 1)),
    st.sampled_from([60, 300, 600, 3600, 7260, 86400]),
    st.integers(3, 40),
    st.sampled_from(["", "RAD_NL25_RAP_5min_", "cam ", "composite_"]),
)
def test_dates_are_times(form: str, start: datetime, step: int, count: int, word: str) -> None:
    start = start.replace(second=0, microsecond=0)
    moments = [start + timedelta(seconds=step * number) for number in range(count)]
    if form.startswith("epoch"):
        factor = 1000 if form == "epoch ms" else 1
        texts = [str(round((each - datetime(1970, 1, 1)).total_seconds()) * factor) for each in moments]
    else:
        texts = [each.strftime(form) for each in moments]
    names = [f"{word}{text}.png" for text in texts]
    (sequence,) = grouped(names).sequences
    assert sequence.names == tuple(names)
    assert (sequence.start, sequence.numbers) == (start, None)
    assert sequence.times == tuple(float(step * number) for number in range(count))


@settings(deadline=None)
@given(
    st.integers(2, 6),
    st.integers(2, 30),
    st.sampled_from(
        ["seq{0}_f{1}", "{0} {1:03d}", "cam{0}-{1:04d}", "t{1:03d}_c{0}", "left{0}_{1}", "T{1:04d}_Z{0:02d}"]
    ),
)
def test_two_numbers_are_several_videos(videos: int, frames: int, form: str) -> None:
    right = [tuple(form.format(video, frame) + ".png" for frame in range(frames)) for video in range(videos)]
    if form.startswith(("{0}", "left")) and frames < 5 <= videos:
        return  # which number counts frames is anyone's guess
    found = grouped([name for names in right for name in names])
    assert sorted(sequence.names for sequence in found.sequences) == sorted(right)
    assert len({sequence.pattern for sequence in found.sequences}) == videos
    assert all("*" in sequence.pattern for sequence in found.sequences)


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(2, 40))
def test_chunks_of_running_numbers_are_one_video(chunks: int, frames: int) -> None:
    names = [f"img_{1 + number // frames}_{number:04d}.png" for number in range(chunks * frames)]
    assert orders(names) == [tuple(names)]


@settings(deadline=None)
@given(
    numberings(),
    st.sampled_from(
        ["{0}_mask", "mask_{0}", "{0}-seg", "gt_{0}", "{0}_labelIds", "thumb_{0}", "{0}_depth", "{0} overlay"]
    ),
    st.integers(1, 3),
)
def test_masks_are_left_out(numbers: list[str], form: str, every: int) -> None:
    frames = [f"frame_{number}.png" for number in numbers]
    masks = [form.format(f"frame_{number}") + ".png" for number in numbers[::every]]
    found = grouped([*frames, *masks])
    assert [sequence.names for sequence in found.sequences] == [tuple(frames)]
    assert sorted(name for left in found.left_out for name in left.names) == sorted(masks)


@settings(deadline=None)
@given(st.integers(2, 30), st.sampled_from([("left", "right"), ("city", "race_track"), ("air_flow", "water_flow")]))
def test_words_make_two_videos(count: int, sides: tuple[str, str]) -> None:
    right = [tuple(f"{side}_{number:03d}.png" for number in range(count)) for side in sides]
    assert orders([*right[0], *right[1]]) == right


@pytest.mark.parametrize(
    "names",
    [
        [f"cam {hour}{half}.jpg" for half in ("am", "pm") for hour in (12, *range(1, 12))],
        ["U_1e-3.png", "U_2.5e-3.png", "U_0.1.png", "U_1e2.png"],
        ["T-20.png", "T-5.png", "T0.png", "T5.png", "T20.png"],
        [f"file-{number}.png" for number in range(1, 15)],
        [f"shot.v2.{number:04d}.png" for number in range(9990, 10010)],
        ["frame.png", *(f"frame ({number}).png" for number in range(1, 12))],
        [f"U_t{number / 10:g}_step{number}.png" for number in range(40)],
        [f"2024-{month:02d}.png" for month in range(1, 13)] + ["2025-01.png"],
        [f"20240101_{number:04d}.png" for number in range(200)],
        [f"20240101_1200{second:02d}_{part}.png" for second in range(5) for part in ("000", "250", "500", "750")],
        [f"{number:03d}_{('walk', 'run', 'sit')[number * 7 % 5 % 3]}.png" for number in range(30)],
        [f"frame_{number:03d}_{number * 7919 % 10007}.png" for number in range(50)],
        [f"{1305031102 + number // 9}.{175304 + 90007 * (number % 9)}.png" for number in range(30)],
        [f"{number // 9}_{175304 + 90007 * (number % 9) + number // 9}.png" for number in range(30)],
        ["apple.png", "bear.png", "cat.png"],
        [f"a{number}.{'png' if number % 2 else 'jpg'}" for number in range(20)],
        [f"00-{minute:02d}-{second:02d}.png" for minute in range(3) for second in range(0, 60, 5)],
    ],
    ids=lambda names: names[1],
)
def test_one_sequence_of_names_that_people_use(names: list[str]) -> None:
    assert orders(names) == [tuple(names)]


@pytest.mark.parametrize(
    ("names", "sequences"),
    [
        ([f"20240101_1200{second:02d}_{camera:03d}.png" for second in range(20) for camera in (1, 2)], 2),
        ([f"s{s:02d}_t{t:02d}_{number:02d}.png" for s in (1, 2) for t in (1, 2) for number in range(15)], 4),
        ([f"{chapter}.{number}.png" for chapter in (1, 2) for number in range(1, 13)], 2),
        ([f"T32UMU_202401{day:02d}T103021_{band}.jp2" for day in range(1, 20, 5) for band in ("B02", "B03", "TCI")], 3),
        ([f"2024010{day}_{number:03d}.png" for day in (1, 2, 3) for number in range(12)], 3),
        ([f"{frame:04d}_{channel}.tif" for frame in range(50) for channel in range(3)], 3),
    ],
)
def test_several_sequences_of_names_that_people_use(names: list[str], sequences: int) -> None:
    found = grouped(names).sequences
    assert len({len(sequence.names) for sequence in found}) == 1
    assert len(found) == sequences


def test_numbers_keep_holes_and_strides() -> None:
    (holed,) = grouped([f"f{number:03d}.png" for number in range(30) if not 12 <= number < 15]).sequences
    assert holed.numbers == tuple(number for number in range(30) if not 12 <= number < 15)
    assert holed.times is None
    (strided,) = grouped([f"plt{number:05d}.png" for number in range(0, 500, 10)]).sequences
    assert strided.notes == ()


def test_times_of_day_run_from_midnight() -> None:
    (sequence,) = grouped(["9am.png", "12pm.png", "1pm.png", "12am.png"]).sequences
    assert sequence.names == ("12am.png", "9am.png", "12pm.png", "1pm.png")
    assert (sequence.start, sequence.times) == (None, (0.0, 9 * 3600.0, 12 * 3600.0, 13 * 3600.0))


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"png": Header(40, 30, True), "jpg": Header(40, 30, True)}, "png"),
        ({"png": Header(40, 30, False), "jpg": Header(40, 30, True)}, "jpg"),
        ({"png": Header(20, 15, True), "jpg": Header(40, 30, True)}, "jpg"),
    ],
    ids=["exact", "mask", "small"],
)
def test_of_two_formats_one_is_taken(headers: dict[str, Header], taken: str) -> None:
    names = [f"f{number:03d}.{suffix}" for number in range(20) for suffix in ("png", "jpg")]
    found = grouped(names, headers={name: headers[name[-3:]] for name in names})
    assert [{name[-3:] for name in sequence.names} for sequence in found.sequences] == [{taken}]
    (left,) = found.left_out
    assert len(left.names) == 20
    assert f".{taken} images" in left.reason


def test_the_format_of_every_frame_is_taken() -> None:
    names = [f"f{number}.jpg" for number in range(9)] + ["f3.png"]
    assert grouped(names).sequences[0].names == tuple(names[:9])


def test_smaller_copies_are_left_out() -> None:
    names = [f"f{number}{tail}.png" for number in range(9) for tail in ("", "_s")]
    headers = {name: Header(20, 15, True) if "_s" in name else Header(40, 30, True) for name in names}
    found = grouped(names, headers=headers)
    assert [sequence.pattern for sequence in found.sequences] == ["f*.png"]
    assert [left.pattern for left in found.left_out] == ["f*_s.png"]


def test_pictures_of_videos_are_left_out() -> None:
    frames = [f"f{number:02d}.png" for number in range(12)]
    thumbnails = ["v1.jpg", "v2_thumb.jpg", "v3.mp4.jpg", "V4.JPG"]
    found = grouped([*frames, *thumbnails, "poster.png"], beside=["v1", "v2", "v3", "v4"])
    assert [sequence.names for sequence in found.sequences] == [tuple(frames)]
    assert sorted(name for left in found.left_out for name in left.names) == sorted([*thumbnails, "poster.png"])


def test_masks_of_images_without_numbers_are_left_out() -> None:
    found = grouped(["cat.png", "cat_mask.png", "dog.png", "mask dog.png", "emu.png"])
    assert [sequence.names for sequence in found.sequences] == [("cat.png", "dog.png", "emu.png")]
    assert [sorted(left.names) for left in found.left_out] == [["cat_mask.png", "mask dog.png"]]


def test_cell_tracking_annotations_are_left_out() -> None:
    frames = [f"t{number:03d}.tif" for number in range(12)]
    others = [f"man_track{number:03d}.tif" for number in range(12)] + [f"man_seg{number:03d}.tif" for number in (0, 5)]
    found = grouped([*frames, *others])
    assert [sequence.names for sequence in found.sequences] == [tuple(frames)]
    assert sum(len(left.names) for left in found.left_out) == 14


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12), max_size=30))
def test_any_names_are_frames_or_left_out_once(stems: list[str]) -> None:
    names = sorted({f"{stem}.png" for stem in stems})
    found = grouped(names)
    groups = [sequence.names for sequence in found.sequences] + [left.names for left in found.left_out]
    shown = [name for group_names in groups for name in group_names]
    assert sorted(shown) == names
    assert len({sequence.pattern for sequence in found.sequences}) == len(found.sequences)


def test_many_sequences_with_masks_are_grouped_quickly_and_noted_once() -> None:
    names = [f"seq{seq}_f{number}{tail}.png" for seq in range(500) for number in range(10) for tail in ("", "_mask")]
    begin = time.perf_counter()
    found = grouped(names)
    assert time.perf_counter() - begin < 8  # a second on an idle core
    assert len(found.sequences) == 500
    (left,) = found.left_out
    assert (left.pattern, len(left.names)) == ("seq*_f*_mask.png", 5000)


@pytest.mark.parametrize(
    ("form", "step", "count"),
    [
        ("%m-%d-%Y", 86400, 12),
        ("%m_%d_%Y_%H-%M", 7200, 40),
        ("%d.%m.%Y", 86400, 40),
        ("%Y-W%V", 7 * 86400, 20),
        ("%y%m%d_%H%M%S", 3600, 40),
        ("%y%m%d", 86400, 40),
        ("%d%m%y", 86400, 40),
        ("%m%d%y", 86400, 400),
        ("%H%M%S", 600, 20),
    ],
)
def test_dates_without_doubt_only_in_the_whole_folder_are_times(form: str, step: int, count: int) -> None:
    start = datetime(2024, 2, 26) if "H" not in form else datetime(2024, 2, 26, 1)
    moments = [start + timedelta(seconds=step * number) for number in range(count)]
    names = [f"{moment.strftime(form)}.png" for moment in moments]
    (found,) = grouped(names).sequences
    assert found.names == tuple(names)
    assert found.times == tuple(float(step * number) for number in range(count))
    assert found.start == (None if form == "%H%M%S" else start)


@pytest.mark.parametrize(
    "names",
    [
        [f"DSC_{number:04d}" for number in (*range(9990, 10000), *range(1, 11))],
        [f"IMG_{number % 10000:04d}" for number in range(9995, 10008)],
        [f"{hour % 24:02d}-{minute:02d}-00" for hour in range(22, 26) for minute in range(0, 60, 10)],
        [f"frame_{number * 500:,}" for number in range(1, 12)],
        [f"step_{number * 500:_}" for number in range(1, 12)],
        [f"{number // 60}m{number % 60}s" for number in range(50, 75)],
        [f"{number // 60:02d}-{number % 60:02d}" for number in range(50, 75)],
        [f"{number // 60:02d}{number % 60:02d}" for number in range(50, 140, 10)],
        [f"{year}Q{quarter}" for year in (2020, 2021) for quarter in range(1, 5)],
        [f"2023-{month}-{day}" for month in range(9, 12) for day in range(8, 12)],
        [f"2023{month:02d}" for month in range(1, 13)] + [f"2024{month:02d}" for month in range(1, 13)],
    ],
)
def test_numbers_that_carry_or_begin_again_go_on(names: list[str]) -> None:
    (found,) = grouped([f"{name}.jpg" for name in names]).sequences
    assert found.names == tuple(f"{name}.jpg" for name in names)
    assert not found.notes


def test_clocks_that_are_set_back_do_not_turn_time_back() -> None:
    hours = [("02-00", 2), ("02-30", 2), ("02-00", 1), ("02-30", 1), ("03-00", 1)]
    names = [f"2024-10-27T{hour}+0{zone}:00.png" for hour, zone in hours]
    (found,) = grouped(names).sequences
    assert found.names == tuple(names)
    assert found.times == (0.0, 1800.0, 3600.0, 5400.0, 7200.0)


def test_numbered_sequences_are_no_times_of_day() -> None:
    names = [f"{sequence:02d}_{frame:02d}.png" for sequence in range(5) for frame in range(20)]
    assert [len(each) for each in orders(names)] == [20] * 5


def test_an_order_without_numbers_is_said() -> None:
    (hashes,) = grouped([f"{zlib.crc32(bytes([number])):032x}.png" for number in range(9)]).sequences
    assert "no numbering" in hashes.notes[0]
    (twice,) = grouped(["1.png", "01.png", "2.png", "3.png"]).sequences
    assert "have one number" in twice.notes[0]


def test_words_for_companions_among_their_like_are_frames() -> None:
    names = [f"IMG_{number:04d}_{word}.jpg" for word in ("normal", "over", "under") for number in range(6)]
    assert [len(each) for each in orders(names)] == [6, 6, 6]

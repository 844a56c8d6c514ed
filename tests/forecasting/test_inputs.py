from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square
from prediction import make_run, one
from video_helpers import write_image

from convlstm_cli.forecasting.inputs import LONGEST_NAME, find_inputs, output_names
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.progress import Progress
from convlstm_cli.video.opencv import cv2


def test_inputs_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for index, name in enumerate(("a/x.npy", "b/x.npy")):
        path = tmp_path / name
        path.parent.mkdir()
        np.save(path, moving_square(6, seed=index))
    outcomes = list(predict([tmp_path / "a", tmp_path / "b"], make_run(tmp_path / "run"), tmp_path / "out"))
    folders = {outcome.folder.name for _, outcome in outcomes if isinstance(outcome, Forecast)}
    assert len(folders) == 2


def test_an_input_called_dot_gets_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, images = make_run(tmp_path / "run"), tmp_path / "images"
    images.mkdir()
    for number, frame in enumerate(moving_square(6, seed=0)):
        (images / f"{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    monkeypatch.chdir(images)
    assert one(run, Path(), tmp_path / "out").folder == tmp_path / "out" / "images"


def test_capitals_do_not_tell_folders_apart(tmp_path: Path) -> None:
    for index, name in enumerate(("Clip.npy", "clip.npy")):
        np.save(tmp_path / name, moving_square(6, seed=index))
    inputs = [tmp_path / "Clip.npy", tmp_path / "clip.npy"]
    folders = [
        outcome.folder.name.casefold()
        for _, outcome in predict(inputs, make_run(tmp_path / "run"), tmp_path / "out")
        if isinstance(outcome, Forecast)
    ]
    assert len(set(folders)) == 2


def test_an_input_is_named_once_and_an_unusable_one_comes_with_its_error(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", moving_square(6, seed=0))
    usable, unusable = find_inputs([tmp_path, tmp_path / "a.npy", tmp_path / "gone.mp4"], Progress())
    assert usable == tmp_path / "a.npy"
    assert isinstance(unusable, tuple)
    assert unusable[0] == tmp_path / "gone.mp4"
    assert "gone.mp4: is not there" in str(unusable[1])


def test_names_fit_every_file_system_and_stay_apart() -> None:
    sources = ["a/x.npy", "b/x.npy", "a/x.mp4", f"c/{'ä' * 200}.npy", "d/new\nline.npy"]
    names = list(output_names([Path(source) for source in sources]).values())
    assert names[:3] == ["x_npy", "x_npy-2", "x_mp4"]
    assert len(names[3].encode()) <= LONGEST_NAME
    assert names[4] == "new_line"


def test_patterns_become_names_of_folders(tmp_path: Path) -> None:
    for name in ("seq0_f1.png", "seq0_f2.png", "seq1_f1.png", "seq1_f2.png"):
        (tmp_path / name).touch()
    patterns = [tmp_path / "seq0_f*.png", tmp_path / "seq?_f*.png", tmp_path / "*.png"]
    assert list(output_names(patterns).values()) == ["seq0_f", "seq_f", tmp_path.name]


def test_what_was_left_out_is_noted(tmp_path: Path) -> None:
    class Notes(Progress):
        """Keeps what is reported."""

        def __init__(self) -> None:
            self.found: list[str] = []

        def note(self, message: str) -> None:
            self.found.append(message)

    for number in range(9):
        (tmp_path / f"f{number}.png").touch()
        (tmp_path / f"f{number}_mask.png").touch()
    notes = Notes()
    assert find_inputs([tmp_path], notes) == [tmp_path]
    assert len(notes.found) == 1
    assert "9 images (f*_mask.png)" in notes.found[0]


def test_parts_of_a_file_become_names_of_folders(tmp_path: Path) -> None:
    np.save(tmp_path / "mnist.npy", np.zeros((20, 30, 16, 16), np.uint8))
    parts = find_inputs([tmp_path / "mnist.npy", f"{tmp_path / 'mnist.npy'}::axes=NTHW::3"], Progress())
    names = list(output_names([part for part in parts if isinstance(part, Path)]).values())
    assert len(names) == 31
    assert (names[0], names[29], names[30]) == ("mnist-0", "mnist-29", "mnist-axes-NTHW-3")
    assert output_names([tmp_path / "mnist.npy::sub/a:b"]) == {tmp_path / "mnist.npy::sub/a:b": "mnist-sub-a-b"}


def test_a_folder_of_one_image_says_so(tmp_path: Path) -> None:
    write_image(tmp_path / "still" / "f0.png", np.zeros((8, 8), np.uint8))
    [found] = find_inputs([tmp_path / "still"], Progress())
    assert isinstance(found, tuple)
    assert "still: holds a single image, which is no video; give videos" in str(found[1])

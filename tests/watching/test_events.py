from pathlib import Path

import numpy as np
import pytest
import torch

from convlstm_cli.watching.calibration import Threshold
from convlstm_cli.watching.events import Event, Events, JudgedFrame
from convlstm_cli.watching.moments import AROUND, MOMENTS, Moments, Shot
from convlstm_cli.watching.plot import Curve


def judged(frame: int, score: float, threshold: float = 1.0) -> JudgedFrame:
    return JudgedFrame(frame, frame / 10, score, 0.5, score > threshold, frame % 7, frame % 5)


def test_alarms_near_each_other_are_one_event_with_its_most_surprising_frame() -> None:
    events = Events(reach=3)
    scores = {2: 2.0, 5: 4.0, 6: 3.0, 10: 1.5, 15: 9.0}
    for frame in range(1, 20):
        events.add(judged(frame, scores.get(frame, 0.5)))
    first, second, third = events.found
    assert first == Event(2, 6, 0.2, 0.6, 3, 5, 4.0, 0.5, 5, 0)
    assert (second.first, second.last, second.alarms) == (10, 10, 1)
    assert (third.first, third.peak, third.score) == (15, 15, 9.0)


def kept(scores: list[float]) -> list[tuple[int, list[int]]]:
    """Frames of the moments, the worst first, each with the frames around it."""
    moments = Moments()
    nothing = torch.zeros(1, 1, 1)
    for frame, score in enumerate(scores, start=1):
        moments.add(Shot(judged(frame, score), nothing, nothing, nothing))
    moments.close()
    return [(worst.frame, [shot.judged.frame for shot in shots]) for worst, shots in moments.worst_first()]


def test_moments_are_the_most_surprising_frames_that_are_not_near_each_other() -> None:
    scores = np.full(200, 0.1)
    scores[[0, 20, 21, 60, 100, 130, 160, 199]] = [5, 7, 6, 9, 1, 2, 3, 8]
    found = kept(scores.tolist())
    assert [frame for frame, _ in found] == [61, 200, 21, 1, 161][:MOMENTS]
    assert found[0][1] == list(range(61 - AROUND, 61 + AROUND + 1))
    assert found[1][1] == list(range(200 - AROUND, 201))
    assert found[3][1] == list(range(1, AROUND + 2))


def test_a_short_video_and_a_still_one_have_moments_too() -> None:
    assert kept([1.0]) == [(1, [1])]
    assert kept([2.0, 2.0, 2.0]) == [(1, [1, 2, 3])]
    assert 1 <= len(kept([1.0] * 100)) <= MOMENTS


def test_the_plot_joins_stretches_of_a_long_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.watching.plot.BINS", 8)
    curve, events = Curve(), Events(reach=3)
    for frame in range(1, 100):
        each = judged(frame, 5.0 if frame == 60 else 0.5)
        curve.add(each)
        events.add(each)
    assert len(curve._scores) <= 8
    assert max(curve._scores) == 5.0
    curve.write(tmp_path / "plot.png", Threshold(1.0, 1.0, 1.0), events.found)
    assert (tmp_path / "plot.png").stat().st_size > 5000

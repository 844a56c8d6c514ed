import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.errors import DependencyError
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.members.steps import check, steps
from convlstm_cli.video.values import BYTES

Recorded = list[dict[str, Any]]


def rain(clips: int = 1, frames: int = 5, channels: int = 1) -> Tensor:
    """Smooth blobs over dry ground, which change a little from frame to frame."""
    generator = torch.Generator().manual_seed(3)
    ends = torch.rand(2, clips * channels, 4, 4, generator=generator)
    mixed = torch.stack([ends[0] + t / 20 * ends[1] for t in range(frames)], dim=1)  # (B C, T, 4, 4)
    smooth = F.interpolate(mixed, (16, 16), mode="bilinear") - 0.5
    return smooth.clamp(0.0, 1.0).view(clips, channels, frames, 16, 16).transpose(1, 2).contiguous()


def members(frames: Tensor, horizon: int = 3, count: int = 4, seed: int = 0) -> Tensor:
    return steps(frames, horizon, count, seed, values=BYTES)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """What a stand-in of pysteps was asked; its members are 2 at the left edge, NaN beside it and 0.25 elsewhere."""
    calls: Recorded = []

    def forecast(fields: Any, motion: Any, horizon: int, **options: Any) -> Any:
        print("computing")  # noqa: T201 - as pysteps does
        np.random.seed(0)  # noqa: NPY002
        calls.append({"fields": fields, "motion": motion, "horizon": horizon, **options})
        found = np.full((options["n_ens_members"], horizon, *fields.shape[1:]), 0.25)
        found[..., 0], found[..., 1] = 2.0, np.nan
        return found

    nowcasts = SimpleNamespace(get_method={"steps": forecast}.__getitem__)
    monkeypatch.setitem(sys.modules, "pysteps", SimpleNamespace(nowcasts=nowcasts))
    return calls


def test_without_pysteps_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysteps", None)
    with pytest.raises(DependencyError, match=r"--baseline steps.*pip install 'convlstm\[steps\]'"):
        check()


def test_pysteps_gets_the_last_frames_and_a_threshold_above_the_lowest_value(recorded: Recorded) -> None:
    clips = 0.5 + 0.5 * rain(2, channels=2)
    found = members(clips, count=3, seed=7)
    assert len(recorded) == 4  # each channel of each clip
    first = recorded[0]
    np.testing.assert_allclose(first["fields"], clips[0, -3:, 0].numpy())
    assert first["fields"].dtype == np.float64
    assert first["motion"].shape == (2, 16, 16)
    assert (first["horizon"], first["n_ens_members"], first["seed"], first["ar_order"]) == (3, 3, 7, 2)
    assert 0.5 < first["precip_thr"] < 0.5 + 1 / 255
    assert found.shape == (3, 2, 3, 2, 16, 16)


def test_values_are_clipped_and_areas_without_value_are_as_optical_flow_has_them(recorded: Recorded) -> None:
    clip = rain()
    found = members(clip)
    assert (found[..., 0] == 1.0).all()
    flow = BASELINES["optical_flow"].forecast(clip, 3)
    torch.testing.assert_close(found[..., 1], flow[..., 1].expand(4, -1, -1, -1, -1))
    assert (found[..., 2:] == 0.25).all()
    assert recorded


def test_nothing_is_printed_and_the_common_random_numbers_stay(
    recorded: Recorded, capsys: pytest.CaptureFixture[str]
) -> None:
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    members(rain())
    assert recorded
    assert capsys.readouterr().out == ""
    assert np.random.get_state()[1].tolist() == expected  # type: ignore[index]  # noqa: NPY002


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(lambda: rain(frames=1), id="one frame"),
        pytest.param(lambda: rain()[..., :6, :6], id="small"),
        pytest.param(lambda: rain()[:, -1:].expand(-1, 5, -1, -1, -1), id="still"),
        pytest.param(lambda: torch.full((1, 5, 1, 16, 16), 0.4), id="constant"),
    ],
)
def test_what_steps_cannot_forecast_is_as_optical_flow_has_it(clip: Callable[[], Tensor]) -> None:
    frames = clip()
    flow = BASELINES["optical_flow"].forecast(frames, 3)
    torch.testing.assert_close(members(frames), flow.expand(4, -1, -1, -1, -1, -1))


def test_members_of_pysteps_itself() -> None:
    pytest.importorskip("pysteps", reason="pip install 'convlstm[steps]'")
    clips = rain(2)
    found = members(clips)
    assert found.isfinite().all()
    assert found.std(dim=0).mean() > 0.001
    assert (found[:, :, 0] - clips[:, -1]).abs().mean() < 0.1  # one step ahead, it is near the last frame
    torch.testing.assert_close(members(clips, count=2), found[:2])
    torch.testing.assert_close(members(clips[1:])[:, 0], found[:, 1])
    assert not torch.equal(members(clips, seed=1), found)

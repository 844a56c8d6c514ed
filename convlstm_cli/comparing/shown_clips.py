"""The test clips that the report shows as films, with the forecasts of every arm."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from convlstm_cli.comparing.case import Case
from convlstm_cli.compute.device import Compute
from convlstm_cli.evaluate import PICTURED_SIDE
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.reporting.comparison_page import ComparedClip
from convlstm_cli.reporting.pictures import thumbnail
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.video.tensors import always_gaps, to_float, to_read, with_gaps

SHOWN_BASELINES = ("persistence", "optical_flow")


def shown_clips(case: Case, mse: Mapping[str, NDArray[np.float64]], compute: Compute) -> list[ComparedClip]:
    """The clips in which the arm with the lowest MSE gains most and least on the reference, and the one between.

    Args:
        mse: of each arm, (seeds, clips, lead times).
    """
    networks = {arm.name: arm.runs[0].load_model(compute.device) for arm in case.arms}
    return [_shown(position, case, networks, compute) for position in _positions(case, mse)]


def _positions(case: Case, mse: Mapping[str, NDArray[np.float64]]) -> list[int]:
    reference, *others = (mse[arm.name].mean(axis=(0, 2)) for arm in case.arms)
    best = min(others, key=np.mean)
    # The smallest normal number keeps a clip that the reference forecasts exactly from dividing by nothing.
    order = np.argsort(best / np.maximum(reference, np.finfo(np.float64).tiny), kind="stable").tolist()
    return list(dict.fromkeys((order[0], order[len(order) // 2], order[-1])))


def _shown(position: int, case: Case, networks: Mapping[str, EncoderForecaster], compute: Compute) -> ComparedClip:
    video, start = case.clips.clips[position]
    seen, following = case.clips[position][None].tensor_split([case.input_frames], dim=1)
    read, ahead = to_read(seen, compute.device), to_float(following, compute.device)
    model = next(iter(networks.values()))
    frames, truth, future = model.target_channels(read), model.target_channels(ahead), model.known_future(ahead)
    horizon = truth.shape[1]
    whole = model.target_channels(with_gaps(case.clips[position][None], compute.device))
    inputs, known = whole.tensor_split([case.input_frames], dim=1)
    rows = {name: BASELINES[name].forecast(frames, horizon) for name in SHOWN_BASELINES}
    rows |= {name: forecast_members([network], read, horizon, compute, future)[0] for name, network in networks.items()}
    rows = {name: row.masked_fill(always_gaps(inputs), torch.nan) for name, row in rows.items()}
    rows = {"input": inputs, "truth": known} | rows
    return ComparedClip(video, start + 1, {name: thumbnail(row[0], PICTURED_SIDE) for name, row in rows.items()})

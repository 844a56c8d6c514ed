"""Statistics of members, in the unit of the source."""

from pathlib import Path

import numpy as np
import pytest
import torch

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.members import members_file
from convlstm_cli.forecasting.statistics import LeadTime, Statistics, unreachable
from convlstm_cli.video.values import BYTES, ValueRange

RAIN = ValueRange(0.0, 80.0, "mm/h", log=True)
BANDS = ValueRange.of_bands((ValueRange(0.0, 1.0), ValueRange(200.0, 300.0, "K")))
MEMBERS = torch.rand(7, 2, 2, 5, 6, generator=torch.Generator().manual_seed(0))


def found(folder: Path, statistics: Statistics) -> LeadTime:
    """The statistics at the second lead time."""
    with members_file(folder / "members", (7, 2, 2, 5, 6)) as file:
        file.put(range(3), 0, MEMBERS[:3])
        for lead in range(2):
            file.put(range(3, 7), lead, MEMBERS[3:, lead : lead + 1])
        result = statistics.at(file, 1)
    assert not (folder / "members").exists()
    return result


def test_the_mean_and_quantiles_of_a_logarithmic_range_are_those_of_its_values(tmp_path: Path) -> None:
    at = found(tmp_path, Statistics(RAIN, (0.1, 0.5), (2.0,)))
    values = RAIN.from_unit(MEMBERS[:, 1].double())
    for share, expected in (
        (at.mean, values.mean(dim=0)),
        (at.quantiles[0], values.quantile(0.1, dim=0)),
        (at.quantiles[1], values.quantile(0.5, dim=0)),
    ):
        torch.testing.assert_close(RAIN.from_unit(share.double()), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(at.deviation, values.std(dim=0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(at.spread, MEMBERS[:, 1].std(dim=0))
    torch.testing.assert_close(at.exceedance[0], (values >= 2.0).float().mean(dim=0))


def test_each_channel_has_the_spread_of_its_own_range(tmp_path: Path) -> None:
    at = found(tmp_path, Statistics(BANDS))
    torch.testing.assert_close(at.deviation[1], 100 * MEMBERS[:, 1, 1].double().std(dim=0))
    torch.testing.assert_close(at.deviation[0], MEMBERS[:, 1, 0].double().std(dim=0))


def test_values_that_mean_nothing_are_refused() -> None:
    with pytest.raises(UsageError, match="--exceed has 5 and each channel has a range of its own"):
        Statistics(BANDS, exceed=(5.0,))
    with pytest.raises(UsageError, match="--exceed has 5; values of 8-bit pictures lie in"):
        Statistics(BYTES, exceed=(5.0,))


def test_values_beyond_the_range_are_reached_by_none_or_by_all(tmp_path: Path) -> None:
    at = found(tmp_path, Statistics(RAIN, exceed=(0.0, 81.0)))
    assert [np.unique(each).tolist() for each in at.exceedance] == [[1.0], [0.0]]
    assert "--exceed 0,81" in str(unreachable(RAIN, (0.0, 5.0, 81.0)))
    assert unreachable(RAIN, (5.0, 80.0)) is None
    assert unreachable(BYTES, (0.5,)) is None

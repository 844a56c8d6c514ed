"""Videos that the tests of convlstm_cli.forecasting share."""

from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "square.npy"
    np.save(path, moving_square(12, seed=3))
    return path


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    path = tmp_path / "long.npy"
    np.save(path, moving_square(60, seed=3))
    return path

"""The settings that an existing run was trained with, from its config.json. Imports no torch."""

from typing import TYPE_CHECKING

from convlstm_cli.errors import RunError
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig

if TYPE_CHECKING:
    from convlstm_cli.runs.run import Run


def train_config(run: "Run") -> TrainConfig:
    """The settings that a run was trained with. Raises RunError where its config.json does not hold them."""
    config = run.read("training", TrainConfig)
    if config.batch_size == AUTO_BATCH:
        raise RunError(
            f"{run.folder / 'config.json'}: its 'training' part is damaged (batch_size is not a number of clips); "
            "train again."
        )
    return config

"""How an existing run was trained, from its config.json."""

from convlstm_cli.errors import RunError
from convlstm_cli.runs.run import Run
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig


def train_config(run: Run) -> TrainConfig:
    """The settings that a run was trained with. Raises RunError where its config.json does not hold them."""
    config = run.read("training", TrainConfig)
    if config.batch_size == AUTO_BATCH:
        raise RunError(
            f"{run.folder / 'config.json'}: its 'training' part is damaged (batch_size is not a number of clips); "
            "train again."
        )
    return config

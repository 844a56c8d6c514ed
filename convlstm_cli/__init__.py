"""convlstm forecasts the next frames of your own videos.

One call takes and gives an array (numpy, torch or xarray), with the shipped weights or a run of your own:

    following = convlstm_cli.forecast(frames, horizon=10)

The rest of the public Python API is what the commands call. Names are imported on first use, so that
`import convlstm_cli` does not import torch:

    import convlstm_cli as cl

    data = cl.prepare(cl.DataConfig(("my_videos",)), input_frames=10, horizon=10)
    model = cl.ForecasterConfig(64, 64, data.channels)
    result = cl.train.train(data, model, cl.TrainConfig(epochs=10), Path("runs/mine"))
    for source, forecast in cl.predict.predict(["new.mp4"], result.run, Path("forecasts")): ...
    for source, found in cl.watch.watch(["new.mp4"], result.run, Path("watched")): ...
    report = cl.evaluate.evaluate([result.run])
    cl.export.export(result.run, Path("exported"))
    arms = cl.compare.peephole_arms(["none", "channel"], model, cl.TrainConfig(epochs=10))
    summary = cl.compare.compare(data, arms, cl.CompareConfig(seeds=3), Path("runs/compared"))

`train`, `predict`, `watch`, `compare`, `evaluate` and `export` are modules; each starts with its public functions.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CompareConfig": "comparing.config",
    "ConvLSTM": "nn",
    "ConvLSTMError": "errors",
    "DataConfig": "video.config",
    "EncoderForecaster": "nn",
    "EvaluateConfig": "scoring.config",
    "ForecasterConfig": "nn",
    "PredictConfig": "forecasting.config",
    "Progress": "progress",
    "Run": "runs.run",
    "TrainConfig": "training.config",
    "WatchConfig": "watching.config",
    "forecast": "arrays",
    "open_video": "video.readers",
    "prepare": "video.data",
    "restore": "video.data",
}
_MODULES = ("compare", "evaluate", "export", "predict", "train", "watch")

__all__ = ["__version__", *_HOMES, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"convlstm_cli.{name}")
    if name in _HOMES:
        return getattr(importlib.import_module(f"convlstm_cli.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

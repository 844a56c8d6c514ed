"""What may change when a comparison goes on: how many seeds it has, and where and how often it computes and saves."""

import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from convlstm_cli.comparing.asked import Asked
from convlstm_cli.comparing.case import as_json
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Plan
from convlstm_cli.compute import device
from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import check_unchanged
from convlstm_cli.training.config import AUTO_BATCH, TrainConfig
from convlstm_cli.video.config import DataConfig

FREE_COMPARE = ("seeds", "jobs", "devices")
"""Fields of `CompareConfig` that may change."""
FREE_TRAINING = ("device", "save_every", "checkpoint_every")
"""Fields of `TrainConfig` that may change, since they change nothing of what is learned."""


def with_asked(plan: Plan, asked: Asked) -> Plan:
    """The plan with what is asked for, which may be more seeds, and other devices, jobs and times of saving.

    Raises UsageError for any other setting that differs from the record, for fewer seeds than the plan has, and for a
    device that is not there.
    """
    _check_data(plan, asked.data)
    check_unchanged(ForecasterConfig, asked.model, plan.settings["model"])
    check_unchanged(TrainConfig, _fixed_training(asked), plan.settings["training"])
    fixed = {name: value for name, value in asked.compare.items() if name not in FREE_COMPARE}
    check_unchanged(CompareConfig, fixed, plan.settings["compare"])
    _check_devices(plan, asked)
    if "seeds" in asked.compare:
        plan = plan.with_seeds(asked.compare["seeds"])
    where = {name: asked.compare[name] for name in ("jobs", "devices") if name in asked.compare}
    if "device" in asked.training:  # one device in place of several
        where.setdefault("devices", ())
    how = {name: asked.training[name] for name in FREE_TRAINING if name in asked.training}
    return replace(
        plan,
        arms=tuple(replace(arm, training=replace(arm.training, **how)) for arm in plan.arms),
        settings={**plan.settings, "compare": as_json(asdict(replace(plan.compare, **where)))},
    )


def _check_data(plan: Plan, asked: Mapping[str, Any]) -> None:
    recorded = plan.settings["data"]
    folders = sorted(map(os.path.abspath, asked.get("folders", ())))
    if folders and folders != sorted(recorded["folders"]):
        raise UsageError(
            f"FOLDER is {', '.join(folders)} and {plan.folder} was begun with {', '.join(recorded['folders'])}; "
            "leave it out to go on."
        )
    size = {**recorded, **asked}
    if any(size[side] != recorded[side] for side in ("height", "width")):
        raise UsageError(
            f"--size is {size['height']}x{size['width']} and {plan.folder} was begun with "
            f"{recorded['height']}x{recorded['width']}; leave it out."
        )
    others = {name: value for name, value in asked.items() if name not in ("folders", "height", "width")}
    check_unchanged(DataConfig, others, recorded)


def _fixed_training(asked: Asked) -> dict[str, Any]:
    """What is asked for of the training and must be as recorded."""
    fixed = {name: value for name, value in asked.training.items() if name not in FREE_TRAINING}
    if fixed.get("batch_size") == AUTO_BATCH:  # which was settled when the comparison began
        del fixed["batch_size"]
    return fixed


def _check_devices(plan: Plan, asked: Asked) -> None:
    """Raises UsageError for a device that is not there, before it is recorded."""
    names = [*asked.compare.get("devices", ()), *([asked.training["device"]] if "device" in asked.training else [])]
    for name in names:
        device.choose(name, plan.arms[0].training.precision)

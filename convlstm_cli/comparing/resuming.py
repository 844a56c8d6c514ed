"""What may change when a comparison goes on: how many seeds it has, and where and how often it computes and saves."""

from dataclasses import asdict, replace

from convlstm_cli.comparing.case import as_json
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.explicit_settings import ExplicitSettings
from convlstm_cli.comparing.plan import Plan
from convlstm_cli.compute import device
from convlstm_cli.settings import check_unchanged
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.resuming import ANYWHERE, check_agrees, settled

FREE_COMPARE = ("seeds", "jobs", "devices")
"""Fields of `CompareConfig` that may change."""


def with_explicit(plan: Plan, explicit: ExplicitSettings) -> Plan:
    """The plan with what is asked for, which may be more seeds, and other devices, jobs and times of saving.

    Raises UsageError for any other setting that differs from the record, for fewer seeds than the plan has, and for a
    device that is not there.
    """
    variation = plan.compare.variation
    varied = set() if variation is None else {variation.name}  # the record has the first arm's value
    model = {name: value for name, value in explicit.model.items() if name not in varied}
    check_agrees(plan.folder, plan.settings, model=model, data=explicit.data)
    check_unchanged(TrainConfig, settled(explicit.training), plan.settings["training"], free={*ANYWHERE, *varied})
    check_unchanged(CompareConfig, explicit.compare, plan.settings["compare"], free=FREE_COMPARE)
    _check_devices(plan, explicit)
    if "seeds" in explicit.compare:
        plan = plan.with_seeds(explicit.compare["seeds"])
    where = {name: explicit.compare[name] for name in ("jobs", "devices") if name in explicit.compare}
    if "device" in explicit.training:  # one device in place of several
        where.setdefault("devices", ())
    how = {name: explicit.training[name] for name in ANYWHERE if name in explicit.training}
    return replace(
        plan,
        arms=tuple(replace(arm, training=replace(arm.training, **how)) for arm in plan.arms),
        settings={**plan.settings, "compare": as_json(asdict(replace(plan.compare, **where)))},
    )


def _check_devices(plan: Plan, explicit: ExplicitSettings) -> None:
    """Raises UsageError for a device that is not there, before it is recorded."""
    names = [
        *explicit.compare.get("devices", ()),
        *([explicit.training["device"]] if "device" in explicit.training else []),
    ]
    for name in names:
        device.choose(name, plan.arms[0].training.precision)

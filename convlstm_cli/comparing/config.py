"""What is compared, how often, and what the arms are matched in. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from convlstm_cli.comparing.variation import PEEPHOLE, Variation
from convlstm_cli.errors import UsageError
from convlstm_cli.nn.kinds import PEEPHOLES
from convlstm_cli.settings import check_choice, check_types, option, parse_names

Match = Literal["steps", "time", "params"]


@dataclass(frozen=True)
class CompareConfig:
    """What is compared, how often, and what the arms are matched in."""

    arms: tuple[str, ...] = option(
        ("none", "channel", "full"),
        "What to compare, with commas; the others are compared with the first. Kinds of peephole (none, channel, "
        "full), or run folders, whose recorded networks are trained again with their recorded settings.",
        parse=parse_names,
    )
    vary: str | None = option(
        None,
        "Compare settings of another option instead: dropout=0,0.1, or loss=mse,sharp, or learning-rate=1e-3,3e-3. Any "
        "option of the network or of how it learns; switches are on or off (layer-norm=off,on), and values that have "
        "commas are separated by semicolons ('hidden=16,16;32,32').",
        metavar="OPTION=VALUE,...",
    )
    seeds: int = option(3, "Trainings of each arm: with --seed and the seeds that follow it.")
    match: Match = option(
        "steps",
        "What is equal for all arms: steps (optimiser steps), time (as many steps as fit into the time of the slowest "
        "arm) or params (steps, and arms with fewer parameters are widened).",
    )
    jobs: int | None = option(
        None,
        "Trainings to run at the same time, each in a process with its share of the cores; if not given, one, or one "
        "for each of --devices.",
    )
    devices: tuple[str, ...] = option(
        (),
        "Devices to spread the trainings over, with commas, such as cuda:0,cuda:1; --device if not given.",
        parse=parse_names,
    )

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("--match", self.match, Match)
        if self.vary is not None:
            self._take_arms(Variation.read(self.vary))
        if len(set(self.arms)) < 2:
            raise UsageError(f"--arms is {','.join(self.arms)!r}; a comparison needs at least two different arms.")
        if not 1 <= self.seeds <= 1000:
            raise UsageError(f"--seeds is {self.seeds}; give 1 to 1000.")
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"--jobs is {self.jobs}; it must be at least 1.")

    def _take_arms(self, variation: Variation) -> None:
        if self.match == "params" and variation.name == "hidden":
            raise UsageError(
                "--match params widens every arm to the parameters of the largest, which undoes --vary hidden; use "
                "--match steps or time."
            )
        object.__setattr__(self, "arms", variation.arms)

    @property
    def variation(self) -> Variation | None:
        """What the arms differ in; None where they are what runs have on record."""
        if self.vary is not None:
            return Variation.read(self.vary)
        return Variation(PEEPHOLE, self.arms) if set(self.arms) <= PEEPHOLES.keys() else None

    def at_once(self, trainings: int) -> int:
        """How many of this number of trainings run at a time."""
        return max(1, min(self.jobs or len(self.devices), trainings))

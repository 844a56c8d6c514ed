"""A forecast on the terminal."""

from typing import TYPE_CHECKING

from convlstm_cli.cli.score_tables import mse_lines
from convlstm_cli.reporting.numbers import number
from convlstm_cli.scoring.baselines import BASELINES

if TYPE_CHECKING:
    from convlstm_cli.forecasting.record import GuardRecord
    from convlstm_cli.predict import Forecast


def forecast_line(forecast: "Forecast") -> str:
    """One line for one forecast."""
    count = f"{forecast.frames} frame{'s' * (forecast.frames != 1)}"
    line = f"{forecast.source}: {count} after frame {forecast.last_input_frame}, in {forecast.folder}"
    if forecast.guard is not None:
        line += f"\n  {_mixed(forecast.guard, forecast.frames)}"
    if forecast.members is not None:
        seed = "" if forecast.members.seed is None else f", seed {forecast.members.seed}"
        line += f"\n  the mean of {forecast.members.count} members{seed}"
        if forecast.members.past_errors is not None:
            line += f", each with {forecast.members.past_errors:.0%} of an error that they made on the input frames"
    if forecast.scores is None:
        return line
    known = forecast.scores.lead_times
    which = "native" if forecast.native_size else "the model's"
    line = f"{line}\n  of the {known} that are known, at {which} size: {mse_lines(forecast.scores.systems)[0]}"
    if forecast.scores.spread_skill is not None:
        ratio = number(forecast.scores.spread_skill.mean, 2, "∞")
        line += f"\n  spread-skill ratio {ratio} (1: members differ by as much as they are wrong)"
    if forecast.scores.crps is not None:
        crps, mae = (number(each, 4) for each in (forecast.scores.crps.mean, forecast.scores.persistence.mean["mae"]))
        line += f"\n  CRPS of the members {crps} (copying the last frame: {mae})"
    return line


def _mixed(guard: "GuardRecord", frames: int) -> str:
    """What the guard has mixed into a forecast, in a few words."""
    shares = guard.shares(frames)
    others = [f"{shares[name]:.0%} {each.phrase}" for name, each in BASELINES.items() if shares[name] >= 0.005]
    if not others:
        return "not mixed: the network did best on the input frames"
    return f"mixed with {', '.join(others)}, by how each did on the input frames"

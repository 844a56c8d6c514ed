"""Scores of members as tables for the terminal."""

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.table import Table

from convlstm_cli.cli.tables import plain_table
from convlstm_cli.reporting.members_wording import score_digits
from convlstm_cli.reporting.numbers import chance, number
from convlstm_cli.reporting.styles import system_headings
from convlstm_cli.scoring.members.member_scores import PooledMembers


def member_tables(members: Mapping[str, PooledMembers], leads: Sequence[int]) -> Iterator[RenderableType]:
    """Every table of the scores of members, by the names of their systems, at lead times from 0; then what they are."""
    yield _crps_table(members, leads)
    yield ""
    ensembles = {name: scores for name, scores in members.items() if scores.spread_skill is not None}
    yield _calibration_table(ensembles, leads)
    yield ""
    for position, _ in enumerate(next(iter(members.values())).exceedance):
        yield _brier_table(members, position, leads)
        yield ""
    yield "CRPS and energy score are the fair ones (Ferro 2014): a single forecast's are MAE and RMSE of frames."
    yield "Reliability index: distance of the truth's ranks among members from even (Delle Monache 2006)."


def _crps_table(members: Mapping[str, PooledMembers], leads: Sequence[int]) -> Table:
    """The CRPS of every system by lead time, and the means of CRPS, energy score and MSE of the mean."""
    unit = next(iter(members.values())).unit
    digits = score_digits(each.mean_crps for each in members.values())
    table = plain_table("frames\nahead", *(f"CRPS{f' {unit}' * bool(unit)}\n{name}" for name in _headings(members)))
    for lead in leads:
        table.add_row(str(lead + 1), *(number(each.crps[lead], digits) for each in members.values()))
    table.add_row("mean", *(number(each.mean_crps, digits) for each in members.values()), style="bold")
    table.add_row("energy score", *(number(each.mean_energy, digits) for each in members.values()), style="bold")
    return table


def _calibration_table(ensembles: Mapping[str, PooledMembers], leads: Sequence[int]) -> Table:
    """The spread over error and the evenness of ranks, of systems with several members."""
    count = next(iter(ensembles.values())).members
    heads = (f"spread of {count} {name}\nover error (1: reliable)" for name in _headings(ensembles))
    table = plain_table("frames\nahead", *heads)
    for lead in leads:
        table.add_row(str(lead + 1), *(number((each.spread_skill or [])[lead], 2) for each in ensembles.values()))
    ranks = [each.ranks for each in ensembles.values()]
    table.add_row("all", *(number(each.mean_spread_skill, 2) for each in ensembles.values()), style="bold")
    indices = (None if each is None else each.reliability_index for each in ranks)
    table.add_row("reliability index", *(number(index, 3) for index in indices), style="bold")
    tests = (None if each is None or each.test is None else each.test.p for each in ranks)
    table.add_row("p of even ranks", *map(chance, tests), style="bold")
    return table


def _brier_table(members: Mapping[str, PooledMembers], position: int, leads: Sequence[int]) -> Table:
    """The Brier score of the threshold at a position."""
    scores = {name: each.exceedance[position] for name, each in members.items()}
    first = next(iter(members.values()))
    reached = f"at least\n{first.exceedance[position].threshold:g} {first.unit}".rstrip()
    table = plain_table(reached, *(f"Brier\n{name}" for name in _headings(members)))
    for lead in leads:
        table.add_row(str(lead + 1), *(number(each.brier[lead], 4) for each in scores.values()))
    table.add_row("all", *(number(each.mean, 4) for each in scores.values()), style="bold")
    return table


def _headings(members: Mapping[str, PooledMembers]) -> list[str]:
    headings = system_headings()
    return [headings[name] for name in members]

"""What the tables and sentences of a comparison say, from a result made up for it."""

import io
from dataclasses import replace

from made_up import made_up_summary
from rich.console import Console

from convlstm_cli.cli.comparison_view import comparison_view, unfinished_view
from convlstm_cli.cli.score_tables import View
from convlstm_cli.runs.comparisons import UnfinishedComparison


def text(view: View, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for part in view:
        console.print(part, soft_wrap=isinstance(part, str), markup=not isinstance(part, str), highlight=False)
    return console.export_text()


def test_scores_costs_differences_and_sentences_are_shown_and_fit_a_terminal() -> None:
    summary = made_up_summary()
    shown = text(comparison_view(summary))
    assert max(map(len, shown.splitlines()[:40])) <= 100
    assert "18 test clips of 9 videos, seeds 0, 1, 2, 10 lead times" in shown
    for sentence in (*summary.verdict, *(f"Note: {each}" for each in summary.warnings), *summary.anatomy.conclusions):
        assert sentence in shown
    rows = [line.split() for line in shown.splitlines()]
    costs = next(row for row in rows if row[:2] == ["full", "437,776"])
    assert costs[2:6] == ["210", "ms", "300", f"{summary.arms[2].scores.mean_mse:.5f}"]
    assert costs[6] == f"{summary.arms[2].scores.mean_mse / summary.baselines['persistence'].mean_mse:.3f}"
    difference = next(row for row in rows if row[:1] == ["full"] and "%" in row and "of" in row)
    assert difference[1].lstrip("-−") == "6.00"
    assert difference[-3:] == ["2", "of", "3"]


def test_names_with_brackets_are_names() -> None:
    assert "[b]x[/b]" in text(comparison_view(made_up_summary(("none", "[b]x[/b]"))))


def test_what_is_not_known_is_a_dash() -> None:
    shown = text(comparison_view(made_up_summary(seeds=1, intervals=False)))
    rows = [line.split() for line in shown.splitlines()]
    assert any(row[:1] == ["channel"] and row[2] == "-" and row[-2:] == ["one", "seed"] for row in rows)
    assert any(row[:1] == ["channel"] and "none" in row for row in rows)


def test_copying_that_is_exact_divides_nothing() -> None:
    summary = made_up_summary()
    still = replace(summary.baselines["persistence"], mean=summary.baselines["persistence"].mean | {"mse": 0.0})
    exact = replace(summary, baselines=summary.baselines | {"persistence": still})
    usual, shown = (text(comparison_view(each)).split() for each in (summary, exact))
    assert len(usual) - len(shown) == len(summary.arms)  # each lacks its share of the MSE of copying


def test_an_unfinished_comparison_says_how_to_go_on() -> None:
    shown = text(unfinished_view(UnfinishedComparison("runs/c", "trained", runs=6, begun=3, finished=2)))
    assert "go on with convlstm compare -o runs/c --resume" in shown
    assert {("runs", "6"), ("begun", "3"), ("finished", "2")} <= {tuple(line.split()) for line in shown.splitlines()}

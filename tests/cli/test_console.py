import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from convlstm_cli.cli import console
from convlstm_cli.progress import StepReport

ROW = {
    "epoch": 2,
    "train_loss": 0.5,
    "seconds": 61.0,
    "validation": {
        "model": {"mean": {"mse": 0.01, "psnr": None, "ssim": 0.9}},
        "persistence": {"mean": {"mse": 0.02, "psnr": 17.0, "ssim": 0.8}},
    },
}


def step(steps: int) -> StepReport:
    """A step of a training that takes ten."""
    return StepReport(steps=steps, epoch=1, loss=0.25, clips_per_second=8.0, share=steps / 10, seconds_left=2.0)


def test_off_a_terminal_there_is_a_line_for_each_epoch_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    progress = console.ConsoleProgress()
    progress.indexing("a.mp4", 1, 1)
    progress.started(Path("runs/x"), 0)
    for steps in range(1, 4):
        progress.stepped(step(steps))
    progress.validating(1, 2)
    progress.epoch_ended(ROW, improved=True)
    progress.finished()
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 2
    assert "runs/x" in lines[0]
    assert "0.50 × copying" in lines[1]
    assert "0:01:01" in lines[1]


def test_verbose_adds_lines_for_logs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "VERBOSE_SECONDS", -1.0)
    progress = console.ConsoleProgress(verbose=True)
    progress.started(Path("x"), 0)
    progress.stepped(step(5))
    assert "training 50% · epoch 1 · loss 0.25000 · 8.0 clips/s · 0:00:02 left" in capsys.readouterr().err


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    progress = console.ConsoleProgress(quiet=True)
    progress.started(Path("x"), 0)
    progress.epoch_ended(ROW, improved=False)
    progress.note("hello")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("say", [console.show, console.show_message, console.show_error])
def test_a_new_line_in_a_name_is_escaped_and_those_of_a_message_stay(
    say: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    say("a\nerror: b.mp4: two reasons:\n  one\n  another")
    shown = "".join(capsys.readouterr())
    assert shown.removeprefix("error: ") == "a\\nerror: b.mp4: two reasons:\n  one\n  another\n"


def test_messages_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    console.show_error("[/red] a[1].mp4: broken")
    console.show_message("[bold]b[/].mp4")
    console.show("[c].mp4")
    shown = capsys.readouterr()
    assert "[/red] a[1].mp4: broken" in shown.err
    assert "[bold]b[/].mp4" in shown.err
    assert shown.out == "[c].mp4\n"


def test_the_first_signal_asks_and_the_second_ends(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def ask_twice() -> None:
        with console.stop_on_signals() as should_stop:
            assert not should_stop()
            os.kill(os.getpid(), signal.SIGTERM)
            assert should_stop()
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ask_twice()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "stopping" in capsys.readouterr().err


def test_a_watched_video_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convlstm_cli.cli.console.VERBOSE_SECONDS", 0.0)
    progress = console.ConsoleProgress(verbose=True)
    progress.watching("a.mp4", 30, 120)
    progress.watching("a.mp4", 60, None)
    assert capsys.readouterr().err.splitlines() == [
        "watching 25% · 30/120 frames of a.mp4",
        "watching 0% · 60 frames of a.mp4",
    ]

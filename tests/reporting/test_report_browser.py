"""The reports in a browser, where there is one."""

import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from made_up import made_up_clip, made_up_summary

from convlstm_cli.evaluate import evaluate
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting.comparison_page import write_comparison_report
from convlstm_cli.reporting.evaluation_page import write_evaluation_report
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium or Chrome")

PHONE = 360
"""Pixels. Windows cannot be so narrow, so a page is opened in a frame of another."""
WRAPPER = """<!doctype html><body><iframe style="border: 0; width: {width}px; height: 800px" srcdoc="{page}"></iframe>
<script>
const frame = document.querySelector("iframe");
frame.addEventListener("load", () => {{
  const inner = frame.contentDocument, film = inner.querySelector(".film");
  for (const details of inner.querySelectorAll("details")) details.open = true;
  document.body.dataset.width = inner.documentElement.scrollWidth;
  if (film) {{
    const slider = film.querySelector("input"), seen = film.querySelector(".clock .window").getBoundingClientRect();
    slider.value = slider.max;
    slider.dispatchEvent(new frame.contentWindow.Event("input"));
    const shown = [...film.querySelectorAll(".clock .track > span")]
      .filter(time => Math.abs(time.getBoundingClientRect().left - seen.left) < 1);
    document.body.dataset.shown = shown.map(time => time.textContent).join();
    document.body.dataset.button = film.querySelector("button").textContent;
  }}
}});
</script>"""


def opened(page: str, folder: Path) -> tuple[dict[str, str], str]:
    """What the wrapper finds out about a page, and what the browser says on its console."""
    assert BROWSER is not None
    wrapper = folder / "wrapper.html"
    wrapper.write_text(WRAPPER.format(width=PHONE, page=html.escape(page)), encoding="utf-8")
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--enable-logging=stderr",
        "--v=0",
        "--dump-dom",
    ]
    done = subprocess.run(
        [BROWSER, *options, "--proxy-server=127.0.0.1:1", f"--user-data-dir={folder / 'profile'}", wrapper.as_uri()],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body is not None, done.stderr
    said = "\n".join(line for line in done.stderr.splitlines() if ":CONSOLE" in line)
    return dict(re.findall(r'data-(\w+)="([^"]*)"', body[0])), said


def test_faults_would_be_found(tmp_path: Path) -> None:
    page = (
        '<!doctype html><img src="http://example.org/a.png"><div style="width: 500px">wide</div><script>oops()</script>'
    )
    found, said = opened(page, tmp_path)
    assert int(found["width"]) > PHONE
    assert "oops is not defined" in said
    page = write_comparison_report(tmp_path, made_up_summary(), []).read_text(encoding="utf-8")
    _, said = opened(page.replace("</main>", '<img src="http://example.org/a.png"></main>'), tmp_path)
    assert "Content Security Policy" in said  # of the page itself, which lets nothing in


def check(page: str, folder: Path) -> dict[str, str]:
    found, said = opened(page, folder)
    assert said == ""
    assert int(found["width"]) <= PHONE
    return found


def test_a_comparison_fits_a_phone_and_its_films_follow_the_slider(tmp_path: Path) -> None:
    arms = ("none", "channel", "full", "a" * 40)
    path = write_comparison_report(tmp_path, made_up_summary(arms, videos=40), [made_up_clip("digits/001", arms)])
    found = check(path.read_text(encoding="utf-8"), tmp_path)
    assert found["shown"] == "lead time +10"
    assert found["button"] == "play"


def test_a_run_and_an_evaluation_fit_a_phone(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    model = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
    run = train(data, model, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run").run
    check((run.folder / "report.html").read_text(encoding="utf-8"), tmp_path)
    report = evaluate([run], config=EvaluateConfig(device="cpu", thresholds=(0.2,)))
    path = write_evaluation_report(tmp_path, report)
    assert check(path.read_text(encoding="utf-8"), tmp_path)["shown"] == "lead time +3"

import re
from collections.abc import Callable
from pathlib import Path

from helpers import check_page

from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting.run_page import write_run_report
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare


def test_the_report_of_a_run_is_whole(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "<broken>.mp4").write_bytes(b"no video")
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    model = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
    result = train(data, model, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    check_page(page)
    assert "&lt;broken&gt;.mp4" in page
    assert f"{result.test.model.mean_mse:.5f}" in page
    assert len(re.findall('<svg class="chart"', page)) == 3
    assert re.findall("<h3>(.*?)</h3>", page) == ["MSE", "PSNR dB", "SSIM"]
    assert re.search(r"\d+ % of the linear trend,\n\d+ % of optical flow\.", page)
    for subset in ("train", "validation", "test"):
        for segment in getattr(data.split, subset):
            assert segment.video in page

    (tmp_path / "run" / "test.json").unlink()  # as before the training has ended
    page = write_run_report(result.run).read_text(encoding="utf-8")
    check_page(page)
    assert len(re.findall('<svg class="chart"', page)) == 1
    assert "Test scores" not in page

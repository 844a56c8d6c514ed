"""OpenCV is quiet, and says what to do where it does not load."""

import subprocess
import sys
from pathlib import Path

import pytest


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)


def test_nothing_reaches_the_terminal(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
import numpy as np
from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.writers import open_writer
folder = Path(sys.argv[1])
for format, suffix in (("webm", "webm"), ("mp4", "mp4"), ("lossless", "mkv")):
    with open_writer(folder / f"a.{suffix}", format, 10.0) as writer:
        for value in range(5):
            writer.write(np.full((32, 32, 3), value * 50, np.uint8))
whole = (folder / "a.mp4").read_bytes()
(folder / "half.mp4").write_bytes(whole[: len(whole) // 2])
(folder / "text.mp4").write_text("not a video")
(folder / "text.png").write_text("not an image")
for name in ("half.mp4", "text.mp4", "text.png"):
    try:
        open_video(folder / name)
    except InputError:
        continue
    raise SystemExit(f"{name} was opened")
"""
    done = run_python(code, str(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("remedy", ["libgl1", "pip install opencv-python-headless"])
def test_a_missing_system_library_comes_with_its_remedy(tmp_path: Path, remedy: str) -> None:
    message = "libGL.so.1: cannot open shared object file"
    (tmp_path / "cv2.py").write_text(f"raise ImportError({message!r})")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from convlstm_cli.errors import DependencyError
try:
    import convlstm_cli.video.opencv
except DependencyError as error:
    print(error)
"""
    printed = run_python(code, str(tmp_path)).stdout
    assert message in printed
    assert remedy in printed


def test_silences_of_two_threads_that_overlap_end() -> None:
    code = """
import os, threading
from convlstm_cli.video.opencv import silence
began = [threading.Event(), threading.Event()]
def first():
    with silence():
        began[0].set()
        began[1].wait(0.2)
def second():
    began[0].wait()
    with silence():
        began[1].set()
        threads[0].join(0.2)
threads = [threading.Thread(target=work) for work in (first, second)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
os.write(2, b"after")
"""
    assert run_python(code).stderr == "after"


def test_silence_lets_python_speak_afterwards() -> None:
    code = """
import os, sys
from convlstm_cli.video.opencv import silence
with silence():
    os.write(2, b"inside")
os.write(2, b"after")
"""
    assert run_python(code).stderr == "after"

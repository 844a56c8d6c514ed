"""Kills train, predict and compare repeatedly, resumes them, and compares the files with those of undisturbed runs.

.venv/bin/python scripts/torture.py                         # 50 kills of each; a few minutes
.venv/bin/python scripts/torture.py train --kills 200 --seed 1

Each kill is a SIGKILL, which no process can catch. It comes at a random moment; right before a random operation on
files (opening for writing, locking, syncing, renaming, removing); in the middle of a write, when a part of the file is
on disk; or as soon as a partial file exists. After each kill every file must be complete. The same command then starts
again, and is killed again, until it ends. Its files must then equal those of the undisturbed command, weights bit for
bit, and no partial file or lock may remain. The script prints one line for each command and exits with 1 if a check
failed.

Commands run in forks of this process, because importing torch takes longer than their work. The undisturbed commands
run in processes of their own, as a user starts them, so the comparison also shows that forks behave the same.
"""

import argparse
import hashlib
import json
import math
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: threads would not come along into a fork

import cv2
import numpy as np
import safetensors.torch
import torch
from PIL import Image

from convlstm_cli.cli.app import main as convlstm
from convlstm_cli.video.cache_entry import Entry, EntryFiles

if TYPE_CHECKING:
    from _typeshed import HasFileno

NETWORK = "--size 32 --hidden 4 --kernel-size 3 --input-frames 4 --frames 3"
TINY = f"{NETWORK} --stride 4 --batch-size 4 --epoch-steps 2 --device cpu --save-every 0.05"
TRAIN = f"train ../videos -o run --resume {TINY} --epochs 3 --patience 0"
PREDICT = "predict ../videos/a.npy ../videos/b.npy -m ../trained -o out --at 8 --format png,webm,mp4,gif,lossless,npy"
COMPARE = f"compare ../videos -o comparison --resume {TINY} --arms none,channel --seeds 2 --epochs 2"
COMMANDS = {"train": TRAIN, "predict": PREDICT, "compare": COMPARE}
KINDS = ("moment", "operation", "write", "partial")
TIMED = re.compile(r"seconds|_ms|memory|per_second|time")
"""Names of values that differ between any two runs."""
VIDEOS = (".webm", ".mp4", ".mkv", ".gif")
HIDDEN = re.compile(r"^\.(partial-|replaced-|lock)")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", nargs="*", metavar="train|predict|compare", help="all if none is given")
    parser.add_argument("--kills", type=int, default=50, help="kills of each command")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random moments")
    given = parser.parse_args()
    if unknown := sorted(set(given.commands) - set(COMMANDS)):
        parser.error(f"no command {unknown[0]!r}; there are {', '.join(COMMANDS)}")
    violations = 0
    with tempfile.TemporaryDirectory(prefix="convlstm-torture-") as name:
        work = Path(name).resolve()
        make_videos(work / "videos")
        for command in given.commands or COMMANDS:
            torture = Torture(command, work, random.Random(f"{given.seed} {command}"))
            torture.run(given.kills)
            print(torture.line(), flush=True)
            for violation in torture.violations:
                print(f"  {violation}", flush=True)
            violations += len(torture.violations)
    return 1 if violations else 0


def make_videos(folder: Path) -> None:
    """Eight videos of 14 frames of a moving square, half of them in colour."""
    folder.mkdir()
    for index, name in enumerate("abcdefgh"):
        rng = np.random.default_rng(index)
        row, column = rng.integers(0, 24, 2)
        video = np.full((14, 32, 32, 3), 20, np.uint8)
        for t in range(14):
            rows, columns = (row + 2 * t + np.arange(8)) % 32, (column + t + np.arange(8)) % 32
            video[t][np.ix_(rows, columns)] = rng.integers(100, 255, 3) if index % 2 else 200
        np.save(folder / f"{name}.npy", video)


class Torture:
    """The kills of one command, and what they broke."""

    def __init__(self, command: str, work: Path, rng: random.Random) -> None:
        self.command, self.rng, self.work = command, rng, work
        self.arguments = COMMANDS[command].split()
        self.kinds: Counter[str] = Counter()
        self.runs = self.left_behind = 0
        self.seconds = math.inf  # of the fastest undisturbed call
        self.violations: list[str] = []
        self.log = work / "log.txt"
        if command == "predict" and not (work / "trained").exists():
            undisturbed(work / "before", TRAIN.split())
            shutil.copytree(work / "before" / "run", work / "trained")
        self.reference = work / f"undisturbed-{command}"
        undisturbed(self.reference, self.arguments)
        self.expected = fingerprints(self.reference)

    def run(self, kills: int) -> None:
        """Kills the command `kills` times, then lets the last call end."""
        folder = self._fresh()
        self._call(folder, None)
        operations, writes = (int(number) for number in (self.work / "counted").read_text().split())
        self._check_end(folder, "an undisturbed fork")
        folder = self._fresh()
        while self.kinds.total() < kills:
            kind = KINDS[self.kinds.total() % len(KINDS)]
            number = self.rng.randrange({"operation": operations, "write": writes}.get(kind, 1))
            moment = self.rng.uniform(0.0, self.seconds)
            where = f"kill {self.kinds.total() + 1} ({kind} {number if kind in ('operation', 'write') else moment:.3g})"
            if self._call(folder, (kind, number, moment)):
                self.kinds[kind] += 1
                self._check_whole(folder, where)
            else:  # the command ended before the kill
                self._check_end(folder, where)
                # Replacing an existing forecast is a case of its own.
                folder = folder if self.command == "predict" and self.rng.random() < 0.7 else self._fresh()
        if not self._call(folder, None):
            self._check_end(folder, "the end")

    def line(self) -> str:
        """One line that reports the kills and the violations."""
        kinds = (
            f"{self.kinds['moment']} at random moments, {self.kinds['operation']} before operations on files, "
            f"{self.kinds['write']} inside writes, {self.kinds['partial']} at the sight of a partial file"
        )
        return (
            f"{self.command}: {self.kinds.total()} kills ({kinds}) in {self.runs} runs; {self.left_behind} left "
            f"partial files or a lock's file; {len(self.violations) or 'no'} violations"
        )

    def _fresh(self) -> Path:
        """A new working folder that holds the compiled kernels."""
        self.runs += 1
        folder = self.work / f"{self.command}-{self.runs}"
        kernels = self.reference / "cache" / "kernels"
        if kernels.exists():
            shutil.copytree(kernels, folder / "cache" / "kernels")
        folder.mkdir(exist_ok=True)
        return folder

    def _call(self, folder: Path, kill: tuple[str, int, float] | None) -> bool:
        """Calls the command in a fork. Returns whether it was killed."""
        fresh = {path.name for path in folder.iterdir()} <= {"cache"}
        began = time.monotonic()
        pid = os.fork()
        if not pid:
            self._child(folder, kill)
        if kill is not None and kill[0] in ("moment", "partial"):
            while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if time.monotonic() - began > kill[2] and (kill[0] == "moment" or any(folder.rglob(".partial-*"))):
                    os.kill(pid, signal.SIGKILL)
                    break
                time.sleep(0.0005)
        status = os.waitpid(pid, 0)[1]
        if fresh and not status:
            self.seconds = min(self.seconds, time.monotonic() - began)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if status:
            lines = self.log.read_text(errors="replace").strip().splitlines()
            self.violations.append(f"failed with {os.waitstatus_to_exitcode(status)}: {' / '.join(lines[-5:])}")
        return False

    def _child(self, folder: Path, kill: tuple[str, int, float] | None) -> None:
        status = 70
        try:
            log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.chdir(folder)
            os.environ["CONVLSTM_CACHE"] = str(folder / "cache")
            sys.argv = ["convlstm", *self.arguments]
            counted = watch_operations(folder, kill)
            try:
                convlstm()
            except SystemExit as end:
                status = int(end.code or 0)
            (self.work / "counted").write_text(" ".join(map(str, counted)))
        finally:
            os._exit(status)

    def _check_whole(self, folder: Path, where: str) -> None:
        """Every file that a kill leaves is complete, and finished files have the expected content."""
        found = fingerprints(folder, after=where)
        self.left_behind += any(HIDDEN.match(path.name) for path in folder.rglob(".*"))
        for name, value in found.items():
            if value == "broken":
                self.violations.append(f"{where}: {name} is not whole")
            elif self.command == "predict" and value != self.expected.get(name):
                self.violations.append(f"{where}: {name} has unexpected content")
            elif name.endswith("metrics.jsonl") and value != self.expected[name][: len(value)]:
                self.violations.append(f"{where}: {name} lacks or repeats a line")
        if self.command == "predict":
            for forecast in (path for path in folder.glob("out/*") if not path.name.startswith(".")):
                prefix = f"out/{forecast.name}/"
                if missing := [name for name in self.expected if name.startswith(prefix) and name not in found]:
                    self.violations.append(f"{where}: {forecast.name} exists without {missing[0]}")

    def _check_end(self, folder: Path, where: str) -> None:
        """The files are those of the undisturbed command."""
        found = fingerprints(folder)
        for name in sorted(found.keys() | self.expected.keys()):
            if name not in found:
                self.violations.append(f"{where}: {name} is missing")
            elif name not in self.expected:
                self.violations.append(f"{where}: {name} is unexpected")
            elif found[name] != self.expected[name]:
                self.violations.append(f"{where}: {name} differs")
        self.violations += [f"{where}: {p} remains" for p in folder.rglob(".*") if "kernels" not in p.parts]


def undisturbed(folder: Path, arguments: list[str]) -> None:
    """Runs a command in a process of its own, as a user does."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "convlstm_cli", *arguments],
        cwd=folder,
        env=os.environ | {"CONVLSTM_CACHE": str(folder / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed without being killed: {done.stderr}")


def watch_operations(folder: Path, kill: tuple[str, int, float] | None) -> list[int]:
    """Kills this process right before an operation on files below a folder, or inside a write; counts both.

    Python announces operations before they happen as audit events, except os.fsync, which is replaced here: it is
    called when a file is written and not yet renamed. Truncating the file at that point simulates an interrupted write.
    """
    counted = [0, 0]
    kind, number, share = kill or ("", 0, 0.0)

    def operation() -> None:
        if kind == "operation" and counted[0] == number:
            os.kill(os.getpid(), signal.SIGKILL)
        counted[0] += 1

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            writes = isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not writes or not isinstance(arguments[0], str | os.PathLike):
                return
        elif event not in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "fcntl.flock"):
            return
        if isinstance(arguments[0], int) or folder in Path(os.fsdecode(arguments[0])).absolute().parents:
            operation()

    synced = os.fsync

    def sync(fd: "int | HasFileno") -> None:
        descriptor = fd if isinstance(fd, int) else fd.fileno()
        if kind == "write" and counted[1] == number:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                os.ftruncate(descriptor, int(os.fstat(descriptor).st_size * (share % 1.0)))
            os.kill(os.getpid(), signal.SIGKILL)
        counted[1] += 1
        operation()
        synced(descriptor)

    os.fsync = sync
    sys.addaudithook(on_event)
    return counted


def fingerprints(folder: Path, after: str = "") -> dict[str, Any]:
    """The content of each visible file below a folder, by name, or `broken`; a fork reads, as it may start threads."""
    receive, send = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(receive)
            with os.fdopen(send, "w") as file:
                json.dump(visible_fingerprints(folder), file)
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive) as file:
        text = file.read()
    os.waitpid(pid, 0)
    if not text:
        sys.exit(f"reading {folder} failed {after}")
    found: dict[str, Any] = json.loads(text)
    return found


def visible_fingerprints(folder: Path) -> dict[str, Any]:
    """The fingerprint of every file that is neither hidden nor a compiled kernel, by its path below the folder."""
    return {
        path.relative_to(folder).as_posix(): fingerprint(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
        if "kernels" not in path.parts
    }


def fingerprint(path: Path) -> Any:
    """The part of a file's content that is equal in any two runs, or `broken`."""
    readers: dict[str, Callable[[Path], Any]] = {
        ".json": read_json,
        ".jsonl": lambda path: [without_times(json.loads(line)) for line in path.read_text().splitlines()],
        ".safetensors": lambda path: of_tensors(safetensors.torch.load_file(path)),
        ".pt": lambda path: of_tensors(torch.load(path, weights_only=True)["step"]["network"]),
        ".png": lambda path: np.asarray(Image.open(path)).tobytes(),
        ".npy": lambda path: np.load(path).tobytes(),
        ".html": lambda path: path.read_text().rstrip().endswith("</html>") or "broken",
        ".csv": lambda path: path.read_bytes(),
        ".frames": lambda path: path.read_bytes(),
        ".prints": lambda path: path.read_bytes(),
        ".ranks": lambda path: path.read_bytes(),
    }
    read = frames_of if path.suffix in VIDEOS else readers.get(path.suffix)
    if read is None:
        return "of an unexpected kind"
    try:
        content = read(path)
    except Exception:
        return "broken"
    if isinstance(content, bytes):
        return f"{len(content)} bytes, {hash_of(content)}"
    return content


def read_json(path: Path) -> Any:
    if path.parent.name == "cache" and EntryFiles.of(path).frames.exists() and Entry.load(path) is None:
        return "broken"
    content = json.loads(path.read_text())
    return without_times(content)


def without_times(content: Any) -> Any:
    """JSON without the values that differ between any two runs."""
    if isinstance(content, dict):
        return {key: without_times(value) for key, value in content.items() if not TIMED.search(key)}
    return [without_times(value) for value in content] if isinstance(content, list) else content


def of_tensors(tensors: dict[str, torch.Tensor]) -> str:
    return hash_of(b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors)))


def frames_of(path: Path) -> bytes:
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1].tobytes())
    if not frames:
        raise ValueError("no frames")
    return b"".join(frames)


def hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


if __name__ == "__main__":
    sys.exit(main())

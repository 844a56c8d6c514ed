"""The commands of the package, from a training that is killed to an export."""

import contextlib
import importlib.util
import itertools
import json
import shutil
import sys
import time
from pathlib import Path

import numpy as np

from gpu_check.run import ROOT, Context, Failed, Skipped

SAMPLES = str(ROOT / "sample_data")
QUICK = ("--size", "32", "--hidden", "4", "--batch-size", "4")

KERNELS = """
import time, torch
device = torch.device("{device}")
if device.type == "cuda":
    import triton
    name = torch.cuda.get_device_name() + f", CUDA {{torch.version.cuda}}, Triton {{triton.__version__}}"
    torch.zeros(1, device=device)  # creates the context
else:
    name = "no GPU asked for"
print(f"{{name}}, torch {{torch.__version__}}", end="")
from convlstm_cli.nn.cell import CellRules
from convlstm_cli.nn.gates import why_no_kernel
cases = [CellRules(peephole=p, gate_activation=a) for p, a in (
    ("channel", "sigmoid"), ("none", "sigmoid"), ("full", "sigmoid"), ("channel", "hard_sigmoid_keras2"))]
for dtype in (torch.float32, torch.bfloat16):
    began = time.perf_counter()
    reasons = {{why_no_kernel(dtype, device, rules) for rules in cases}}
    seconds = time.perf_counter() - began
    found = "kernels" if reasons == {{None}} else f"NO KERNEL ({{reasons}})"
    print(f"; {{dtype}}: {{found}}, self-test of {{len(cases)}} cases {{seconds:.2f}} s", end="")
"""


def machine(context: Context) -> str:
    """Versions, and whether the kernels are there and pass their self-test."""
    saw = context.call(sys.executable, "-c", KERNELS.format(device=context.options.device)).strip()
    if "NO KERNEL" in saw:
        raise Failed(saw)
    return saw


def train(context: Context) -> str:
    """A training on sample_data that is killed once it has made steps and saved them, and resumed to its end."""
    options = context.options
    run = context.folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    steps = 8 if options.quick else 300
    command = [sys.executable, "-m", "convlstm_cli", "train", SAMPLES, "-o", str(run), "--device", options.device]
    command += ["--max-steps", str(steps), "--epoch-steps", str(steps // 4), "--save-every", "1s", "--json"]
    command += QUICK if options.quick else ()
    first = context.start(command, context.log)
    seen: set[int] = set()
    # The first checkpoint is that before the first step; a quick training may end before its second.
    while _checkpoints(run, seen) < (1 if options.quick else 2):
        if not first.running():
            raise Failed(f"the training ended before it had a checkpoint: {first.last_words()}")
        if context.left < 1.0:
            first.kill()
            raise Failed("the training had no checkpoint in time")
        time.sleep(0.05)
    was_running = first.running()
    first.kill()
    if not was_running:
        raise Failed("the training had ended before it could be killed")
    result = json.loads(context.call(*command, "--resume"))
    if not (run / "test.json").exists() or result["stopped"] != "all steps are done":
        raise Failed(f"the resumed training did not come to its end: {result['stopped']}")
    return f"killed, resumed, {steps} steps in {result['seconds']:.0f} s, skill over copying {result['skill']:.2f}"


def _checkpoints(run: Path, seen: set[int]) -> int:
    """How many checkpoints were seen, this time and before; `seen` remembers them by their times."""
    with contextlib.suppress(FileNotFoundError):
        seen.add((run / "resume.pt").stat().st_mtime_ns)
    return len(seen)


def native_size(context: Context) -> str:
    """A forecast of frames larger than those of the training, in one piece."""
    return _predict(context, "--native-size")


def tiled(context: Context) -> str:
    """The same in tiles."""
    return _predict(context, "--native-size", "--tile", "64")


def evaluate(context: Context) -> str:
    """The scores of the run on its test videos."""
    context.folder.mkdir(parents=True, exist_ok=True)
    output = context.folder / "scores"
    shutil.rmtree(output, ignore_errors=True)
    result = json.loads(
        context.convlstm("evaluate", _run(context), "-o", str(output), "--device", context.options.device, "--json")
    )
    if not result["clips"]:
        raise Failed("no clip was scored")
    return f"{result['clips']} clips, skill over copying {result['skill']:.2f}"


def compare(context: Context) -> str:
    """A comparison of two arms with two seeds each."""
    options = context.options
    output = context.folder / "comparison"
    shutil.rmtree(output, ignore_errors=True)
    limit = ("--max-steps", "4") if options.quick else ("--max-time", "4s")
    arguments = ["--arms", "none,channel", "--seeds", "2", *limit, "--device", options.device, "--json"]
    result = json.loads(
        context.convlstm("compare", SAMPLES, "-o", str(output), *arguments, *(QUICK if options.quick else ()))
    )
    runs = sorted(path.parent.name for path in output.rglob("test.json"))
    if len(runs) != 4:
        raise Failed(f"expected 4 finished runs, found {', '.join(runs) or 'none'}")
    return f"2 arms, 2 seeds; {len(result)} entries of the result, 4 finished runs"


def precision(context: Context) -> str:
    """Trainings from the same seeds in fp32 and in bf16, side by side: what bf16 does to the error on test videos."""
    options = context.options
    seeds, steps = (1, 4) if options.quick else (3, 300)
    shutil.rmtree(context.folder, ignore_errors=True)
    context.folder.mkdir(parents=True)
    processes = {}
    for name, seed in itertools.product(("fp32", "bf16"), range(seeds)):
        own = context.folder / f"{name}-{seed}"
        command = [sys.executable, "-m", "convlstm_cli", "train", SAMPLES, "-o", str(own), "--device", options.device]
        command += ["--precision", name, "--seed", str(seed), "--max-steps", str(steps), "--epoch-steps", str(steps)]
        command += ["--json", *(QUICK if options.quick else ())]
        processes[name, seed] = context.start(command, own.with_suffix(".log"), {"OMP_NUM_THREADS": "1"})
    errors = {}
    try:
        for key, process in processes.items():
            code = process.wait(context.left)
            if code != 0:
                why = process.last_words() if code else "did not end in time"
                raise Failed(f"{key[0]} with seed {key[1]}: {why}")
            errors[key] = json.loads(process.stdout.read_text(encoding="utf-8"))["model"]["mean"]["mse"]
    finally:
        for process in processes.values():
            process.kill()
    ratios = [f"{errors['bf16', seed] / errors['fp32', seed]:.3f}" for seed in range(seeds)]
    return f"test MSE of bf16 over that of fp32 after {steps} steps, by seed: {', '.join(ratios)}"


def export(context: Context) -> str:
    """A small network as programs: of PyTorch, and of ONNX where that is installed.

    One that is trained for this: recording the network of the step `train` takes minutes of one core and no GPU.
    """
    missing = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None]
    run, output = context.folder / "run", context.folder / "programs"
    for folder in (run, output):
        shutil.rmtree(folder, ignore_errors=True)
    context.folder.mkdir(parents=True, exist_ok=True)
    small = (*QUICK, "--forecaster", "unconditioned", "--head", "sigmoid", "--init", "none")
    steps = ("--max-steps", "1", "--epoch-steps", "1", "--device", context.options.device)
    context.convlstm("train", SAMPLES, "-o", str(run), *small, *steps)
    formats = "torch" if missing else "torch,onnx"
    context.convlstm("export", str(run), "-o", str(output), "--format", formats)
    files = sorted(path.name for path in output.iterdir())
    left_out = f"; no ONNX, because {', '.join(missing)} is not installed" if missing else ""
    return f"{', '.join(files)}{left_out}"


def _predict(context: Context, *arguments: str) -> str:
    video, output = context.folder / "video.npy", context.folder / "forecast"
    context.folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(output, ignore_errors=True)
    side, frames = (64, 3) if context.options.quick else (160, 10)
    np.save(video, _moving_square(20, side))
    options = ["-m", _run(context), "-o", str(output), "--device", context.options.device, "--frames", str(frames)]
    context.convlstm("predict", str(video), *options, *arguments, "--format", "png,npy")
    [array] = output.rglob("*.npy")
    forecast = np.load(array)
    pictures = list(output.rglob("frame_*.png"))
    if len(forecast) != frames or len(pictures) != frames or forecast.shape[1:3] != (side, side):
        raise Failed(f"expected {frames} frames of {side}x{side}, found {len(pictures)} and {forecast.shape}")
    if not np.isfinite(forecast.astype(float)).all() or forecast.std() == 0.0:
        raise Failed("the forecast is empty or not finite")
    return f"{frames} frames of {side}x{side}"


def _run(context: Context) -> str:
    """The run of the step `train`. Raises Skipped where there is none."""
    run = context.options.output / "train" / "run"
    if not (run / "test.json").exists():
        raise Skipped("needs the run of the step train, which did not come to its end")
    return str(run)


def _moving_square(frames: int, side: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    """A square that moves by 2 pixels a frame, (frames, side, side)."""
    video = np.zeros((frames, side, side), np.uint8)
    for t in range(frames):
        video[t, side // 4 : side // 2, 2 * t : 2 * t + side // 4] = 220
    return video

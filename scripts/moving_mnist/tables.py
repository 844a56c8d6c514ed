"""Results of the Moving MNIST benchmark as tables and notes."""

from typing import Any

from bench.terminal import aligned
from moving_mnist.testing import NEAREST

PUBLISHED = (
    ("OpenSTL ConvLSTM-S, 200 epochs", 29.80, 90.64, 0.9288),
    ("OpenSTL ConvLSTM-S, 2000 epochs", 22.41, None, None),
    ("OpenSTL, its best recurrent model", 14.07, None, None),
)
"""Name, MSE, MAE and SSIM on the usual file of 10,000 test sequences."""
SHI_PARAMETERS, SHI_CROSS_ENTROPY = 7_585_296, 3670.85
"""Table 1 of Shi et al. 2015: the network of 128, 64 and 64 channels."""


def show(results: dict[str, Any]) -> str:
    """The complete report."""
    parts = [heading(results), main_table(results), lead_table(results)]
    parts += [ratio_line(results["ratio"])] if results["ratio"] else []
    return "\n\n".join([*parts, notes(results)])


def heading(results: dict[str, Any]) -> str:
    """The machine, the settings and the systems."""
    machine, settings = results["machine"], results["settings"]
    seconds = ", ".join(f"{name} {value * 1e3:.0f} ms" for name, value in results["step_seconds"].items())
    return "\n".join(
        [
            f"{machine['cpu']} ({machine['cores']} cores, {machine['threads']} threads), {machine['system']}",
            f"{machine['device']}, torch {machine['torch']}, kernel: {machine['kernel']}",
            f"batches of {settings['--train-option batch_size']}, seed {settings['--train-option seed']}; "
            f"a step, measured in turn before training: {seconds}",
            *(f"{name}: {text}" for name, text in results["about"].items()),
        ]
    )


def main_table(results: dict[str, Any]) -> str:
    """One row per system, and the published results."""
    lines = [["", "parameters", "steps", "minutes", "MSE", "MAE", "SSIM", "PSNR", "cross-entropy"]]
    for name, row in results["systems"].items():
        training = ["-", "-", "-"]
        if "parameters" in row:
            training = [f"{row['parameters']:,}", str(row["steps"]), f"{row['minutes']:.1f}"]
        psnr = "-" if row["psnr"] is None else f"{row['psnr']:.2f}"
        numbers = [f"{row['mse']:.2f}", f"{row['mae']:.2f}", f"{row['ssim']:.4f}", psnr, f"{row['cross_entropy']:.0f}"]
        lines.append([name, *training, *numbers])
    for name, mse, mae, ssim in PUBLISHED:
        shown = [f"{mse:.2f}", "-" if mae is None else f"{mae:.2f}", "-" if ssim is None else f"{ssim:.4f}"]
        lines.append([f"published: {name}", "-", "-", "-", *shown, "-", "-"])
    lines.append(["published: Shi et al. 2015", f"{SHI_PARAMETERS:,}", *["-"] * 6, f"{SHI_CROSS_ENTROPY:.2f}"])
    return f"{results['test_sequences']} test sequences\n{aligned(lines)}"


def lead_table(results: dict[str, Any]) -> str:
    """MSE at each lead time."""
    rows = {name: row["mse_by_lead_time"] for name, row in results["systems"].items()}
    leads = [str(lead + 1) for lead in range(len(next(iter(rows.values()))))]
    lines = [["MSE, frames ahead", *leads]]
    return aligned([*lines, *([name, *(f"{value:.1f}" for value in values)] for name, values in rows.items())])


def ratio_line(ratio: dict[str, float]) -> str:
    """The MSE of ours over that of the plain network, with its interval."""
    return (
        f"MSE of ours / plain: {ratio['ratio']:.3f}; 95 % of a paired bootstrap over the test sequences: "
        f"{ratio['low']:.3f} to {ratio['high']:.3f}.\nEach system was trained once; other seeds may differ by more."
    )


def notes(results: dict[str, Any]) -> str:
    """How the numbers are defined, and how they compare with published ones."""
    intervals = ", ".join(
        f"{name} {row['mse_interval'][0]:.2f} to {row['mse_interval'][1]:.2f}"
        for name, row in results["systems"].items()
    )
    return "\n".join(
        [
            "MSE and MAE are sums over the 4096 pixels of a frame (values in [0, 1]), averaged over frames and",
            "sequences, as published. 95 % bootstrap intervals of the MSE over test sequences:",
            f"{intervals}.",
            "SSIM is that of convlstm_cli.scoring.metrics (torchmetrics, 11x11 Gaussian window); published values come",
            "from skimage and differ in the third digit. PSNR is that of the mean MSE.",
            f"cross-entropy is summed over a sequence's forecast frames; forecasts stay {NEAREST:g} away from 0 and 1.",
            "steps and minutes count training alone, without timing, validation and test.",
            "The last weights are tested (ours: their moving average); validation chooses nothing.",
            "published: not measured here. OpenSTL tests on the usual file of 10,000 sequences, whose seed is unknown;",
            "here sequences are drawn by the same rules from the same digits. Shi et al. train on 10,000 and test on",
            "3,000 sequences of 500 digits of MNIST, at 3 to 5 pixels a frame, with cross-entropy as the loss.",
        ]
    )

"""Results as text."""

from typing import Any

from speed.tables import aligned

from moving_mnist.testing import NEAREST

PUBLISHED = (
    ("OpenSTL ConvLSTM-S, 200 epochs", 29.80, 90.64, 0.9288),
    ("OpenSTL ConvLSTM-S, 2000 epochs", 22.41, None, None),
    ("OpenSTL, its best recurrent model", 14.07, None, None),
)
"""Name, MSE, MAE, SSIM; of the usual file of 10,000 test sequences."""
SHI_PARAMETERS, SHI_CROSS_ENTROPY = 7_585_296, 3670.85
"""Of their network of 128, 64 and 64 channels, in their table 1."""


def show(results: dict[str, Any]) -> str:
    """All of it."""
    parts = [heading(results), main_table(results), lead_table(results)]
    parts += [ratio_line(results["ratio"])] if results["ratio"] else []
    return "\n\n".join([*parts, notes(results)])


def heading(results: dict[str, Any]) -> str:
    """Where the numbers come from."""
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
    """A row for each system, and what is published."""
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
    """Ours against the plain network."""
    return (
        f"MSE of ours / plain: {ratio['ratio']:.3f}; 95 % of a paired bootstrap over the test sequences: "
        f"{ratio['low']:.3f} to {ratio['high']:.3f}.\nThat is one training of each: other seeds may differ by more."
    )


def notes(results: dict[str, Any]) -> str:
    """What a reader must know to compare."""
    intervals = ", ".join(
        f"{name} {row['mse_interval'][0]:.2f} to {row['mse_interval'][1]:.2f}"
        for name, row in results["systems"].items()
    )
    return "\n".join(
        [
            "MSE and MAE are sums over the 4096 pixels of a frame, values in [0, 1], mean over frames and sequences,",
            "as published. 95 % of a bootstrap over test sequences for the MSE:",
            f"{intervals}.",
            "SSIM is that of convlstm_cli.metrics (torchmetrics, 11x11 Gaussian window); published values come from",
            "skimage and differ in the third digit. PSNR is that of the mean MSE.",
            f"cross-entropy is the sum over a sequence's forecast frames, forecasts kept {NEAREST:g} from 0 and 1.",
            "steps and minutes are of training alone: batches and steps, without timing, validation and test.",
            "Tested are the last weights (ours: their moving average); validation chooses nothing.",
            "published: not measured here. OpenSTL tests on the usual file of 10,000 sequences, whose seed is unknown:",
            "here they are drawn by the same rules from the same digits. Shi et al. train and test on 10,000 and 3,000",
            "sequences of 500 digits of MNIST, at 3 to 5 pixels a frame, with cross-entropy as the loss.",
        ]
    )

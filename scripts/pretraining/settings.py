"""What a pretraining is, as its command line says it."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

CLIP_FRAMES = 24
"""Frames of a made-up clip."""
LENGTHS = ((10, 10),) * 8 + ((12, 12), (4, 20), (2, 10), (6, 14))
"""Frames that are read and forecast; a step draws one of these, most often what is scored. Each is a CUDA graph."""
SIZES = "64x64,64x64,64x64,96x96,48x64"
"""Heights and widths, what is named twice is drawn twice as often."""


@dataclass(frozen=True)
class Variant:
    """A network and how it learns. Several learn from the same batches at once, so that they can be compared."""

    name: str
    """Name of its folder below the output's; empty for the output's own folder."""
    hidden: tuple[int, ...]
    patch_size: int
    kernel_size: int
    head: str
    loss: str
    members: int
    """Members of each clip that are compared with the truth; 0 for a network without noise."""
    kernel_rate: float
    other_rate: float
    momentum: float
    """Share of the mean of earlier gradients that the mean of a kernel's gradients keeps at each step."""


@dataclass(frozen=True)
class Settings:
    """All that decides a pretraining."""

    out: Path
    variants: tuple[Variant, ...]
    minutes: float
    """Minutes of training, over all calls."""
    device: str
    workers: int
    clips: Path | None
    """Folder of clips that were made before; None makes them on the fly."""
    seed: int
    channels: int
    batch: int
    """Clips of 64x64 frames in a step; as many of other sizes as have as many pixels."""
    sizes: tuple[tuple[int, int], ...]
    hold: float
    """Share of the minutes after which the learning rate begins to fall, along a line to zero."""
    average: float
    ring: int
    """Clips of each size that are kept to draw from."""
    save_every: float
    """Minutes between checkpoints."""
    evaluate: tuple[Path, ...]
    evaluate_every: float
    """Minutes between zero-shot tables; there is one at the end."""
    log_every: int
    init: Path | None
    graphs: bool
    bf16: bool


def parse(arguments: list[str] | None = None) -> tuple[Settings, int]:
    """The settings, and how many clips to make and write to `--clips` instead of training (0 is none)."""
    parser = argparse.ArgumentParser(
        prog="scripts/pretrain",
        description="Trains a forecaster on made-up motion. The same options go on where the last call ended.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("-o", "--out", type=Path, default=Path("pretrained"), help="folder of weights, state, log and card")
    add("--minutes", type=float, default=10.0, help="of training, over all calls")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--workers", type=int, default=1, help="processes that make clips")
    add("--clips", type=Path, help="folder of clips that --make-clips wrote, to use instead of workers")
    add("--make-clips", type=int, default=0, metavar="N", help="write N clips of each size to --clips, and end")
    add("--seed", type=int, default=0)
    add("--channels", type=int, default=1, choices=(1, 3))
    add("--hidden", default="32,32", help="channels of the layers")
    add("--patch-size", type=int, default=4)
    add("--kernel-size", type=int, default=3)
    add("--head", default="motions")
    add("--loss", default="sharp", help="one of convlstm train, or over-best (objective.py); --members have their own")
    add(
        "--variant",
        action="append",
        default=[],
        metavar="'NAME OPTIONS'",
        help="trains one with these options instead, such as 'sharp --head refined --loss sharp'; give several to "
        "train them at once on the same clips",
    )
    add("--members", type=int, default=0, help="members of each clip that are compared with the truth; 0 for no noise")
    add("--batch", type=int, default=64, help="clips of 64x64 in a step; as many of other sizes as have its pixels")
    add("--sizes", default=SIZES, help="heights x widths, drawn at random")
    add("--kernel-rate", type=float, default=0.02, help="learning rate of the kernels, by Muon")
    add("--other-rate", type=float, default=3e-3, help="learning rate of all else, by AdamW")
    add(
        "--momentum",
        type=float,
        default=0.95,
        help="of the kernels; nearer to 1 where batches are small: a mean over more steps has less noise",
    )
    add("--hold", type=float, default=0.3, help="share of the minutes after which the learning rate falls")
    add("--average", type=float, default=0.998, help="decay of the moving average of the weights")
    add("--ring", type=int, default=30_000, help="clips of each size that are kept to draw from")
    add("--save-every", type=float, default=5.0, metavar="MINUTES")
    add("--evaluate", type=Path, nargs="*", default=[], metavar="FOLDER", help="videos for the zero-shot table")
    add("--evaluate-every", type=float, default=60.0, metavar="MINUTES")
    add("--log-every", type=int, default=100, metavar="STEPS")
    add("--init", type=Path, metavar="FILE", help="weights (safetensors) to begin with")
    add("--no-graphs", action="store_true", help="no CUDA graphs")
    add("--bf16", action="store_true", help="convolutions in bfloat16")
    given = parser.parse_args(arguments)
    if given.make_clips and given.clips is None:
        parser.error("--make-clips needs --clips FOLDER to write to")
    sizes = tuple((int(size.split("x")[0]), int(size.split("x")[1])) for size in given.sizes.split(","))
    variants = [_variant("", given)]
    if given.variant:
        # The options of the whole come first, so that a variant's own count.
        whole = [part for part in (sys.argv[1:] if arguments is None else arguments) if part not in given.variant]
        whole = [part for part in whole if part != "--variant"]
        variants = [_variant(text.split()[0], parser.parse_args(whole + text.split()[1:])) for text in given.variant]
    settings = Settings(
        out=given.out,
        variants=tuple(variants),
        minutes=given.minutes,
        device=given.device,
        workers=max(1, given.workers),
        clips=given.clips,
        seed=given.seed,
        channels=given.channels,
        batch=given.batch,
        sizes=sizes,
        hold=given.hold,
        average=given.average,
        ring=given.ring,
        save_every=given.save_every,
        evaluate=tuple(given.evaluate),
        evaluate_every=given.evaluate_every,
        log_every=given.log_every,
        init=given.init,
        graphs=not given.no_graphs,
        bf16=given.bf16,
    )
    return settings, given.make_clips


def _variant(name: str, given: argparse.Namespace) -> Variant:
    return Variant(
        name,
        tuple(int(part) for part in given.hidden.split(",")),
        given.patch_size,
        given.kernel_size,
        given.head,
        given.loss,
        given.members,
        given.kernel_rate,
        given.other_rate,
        given.momentum,
    )

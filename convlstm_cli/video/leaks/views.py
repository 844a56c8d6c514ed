"""Videos that show one scene at the same times: the views of two cameras, the channels or planes of a microscope."""

import re
from collections import defaultdict
from collections.abc import Sequence

from convlstm_cli.video.leaks.components import Bond
from convlstm_cli.video.segments import HasFrames

_WORD = re.compile(
    r"(?<![^\W\d_])(?:left|right|[lr]|red|green|blue|nir|dapi|gfp|rfp|under|normal|over|[-+]?\d+ev)(?![^\W\d_])"
)
"""A side, a colour or an exposure."""
_NUMBERED = re.compile(r"(?<![^\W\d_])(?:c|ch|channel|w|wavelength|z|slice|plane|view|tile|x|y)[=_-]?\d+(?!\d)")
"""A channel, a plane, a view or a tile. In the names of video files such letters count clips as often."""

SHOWN = 3
"""Pairs that `describe_views` names."""


def find_views(videos: Sequence[HasFrames]) -> list[Bond]:
    """Bonds of videos whose names differ in the view only and that have as many frames, the first with each other."""
    alike: dict[tuple[str, int], list[str]] = defaultdict(list)
    for video in videos:
        name = video.name.casefold()
        scene = _WORD.sub("#", _NUMBERED.sub("#", name) if "*" in name else name)
        if scene != name:
            alike[scene, video.frames].append(video.name)
    return [Bond(first, other, 0) for first, *others in alike.values() for other in others]


def describe_views(views: Sequence[Bond]) -> list[str]:
    """The views in a line for people; none where there are none."""
    if not views:
        return []
    pairs = [f"{bond.first} and {bond.second}" for bond in views]
    more = [f"and {len(pairs) - SHOWN} more"] if len(pairs) > SHOWN else []
    named = ", ".join([*pairs[:SHOWN], *more])
    return [f"videos are views or channels of one scene at the same times ({named}); --group-by none splits by video"]

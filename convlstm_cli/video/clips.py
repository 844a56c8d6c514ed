"""Windows of consecutive frames, as a torch Dataset."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.library import Library
from convlstm_cli.video.split import Segment


class ClipDataset(Dataset[Tensor]):
    """Every window of `clip_frames` frames inside its segment, starting `stride` frames apart.

    An item is a uint8 tensor (clip_frames, C, H, W) with `channels` channels, 0...255. Grey videos are repeated
    to 3 channels, colour becomes luminance where 1 is asked for.
    """

    def __init__(
        self, library: Library, segments: Sequence[Segment], clip_frames: int, *, stride: int = 1, channels: int
    ) -> None:
        self.library, self.clip_frames, self.channels = library, clip_frames, channels
        self.clips: list[tuple[str, int]] = [
            (segment.video, start)
            for segment in segments
            for start in range(segment.start, segment.stop - clip_frames + 1, stride)
        ]
        """Name of the video and position of the first frame, from 0, of each clip."""

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, position: int) -> Tensor:
        name, start = self.clips[position]
        # Mapped anew each time: a map holds a file open, and a folder has more videos than a process may open files.
        clip = self.library.frames(name)[start : start + self.clip_frames]
        clip = to_channels(clip, self.channels).transpose(0, 3, 1, 2)  # (T, H, W, C) to (T, C, H, W)
        return torch.from_numpy(np.array(clip, order="C"))  # a copy: the map is read-only

"""Windows of consecutive frames, as a torch Dataset."""

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from convlstm_cli.video.colour import to_channels
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.library import Library
from convlstm_cli.video.split import Segment
from convlstm_cli.video.tensors import clip_tensor, together
from convlstm_cli.video.values import BYTES, ValueRange


class ClipDataset(Dataset[Tensor]):
    """Every window of `clip_frames` frames inside its segment, starting `stride` frames apart.

    An item is a tensor (clip_frames, C, H, W) with `channels` channels: uint8 of 8-bit pictures, else float32 in
    [0, 1] by the range `values`. Behind these stand the channels of `guides`, in [0, 1] by their own. Grey videos are
    repeated to 3 channels, colour becomes luminance where 1 is asked for.
    Raises InputError for a video whose numbers mean something else than those of the range.
    """

    def __init__(
        self,
        library: Library,
        segments: Sequence[Segment],
        clip_frames: int,
        *,
        stride: int = 1,
        channels: int,
        values: ValueRange = BYTES,
        guides: Sequence[Guide] = (),
    ) -> None:
        self.library, self.clip_frames, self.channels, self.values = library, clip_frames, channels, values
        names = {segment.video for segment in segments}
        self._meanings = _meanings(library, names, values)
        beside = [(library.of_guide(guide.channel), guide.values) for guide in guides]
        self._guides = [(each, _meanings(each, names, guided)) for each, guided in beside]
        self.clips: Sequence[tuple[str, int]] = Windows(segments, clip_frames, stride)
        """Name of the video and position of the first frame, from 0, of each clip."""

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, position: int) -> Tensor:
        name, start = self.clips[position]
        # Mapped anew each time: a map holds a file open, and a folder has more videos than a process may open files.
        clip = self.library.clip(name, start, start + self.clip_frames)
        shown = clip_tensor(to_channels(clip, self.channels, name), *self._meanings[name])
        beside = [
            clip_tensor(library.clip(name, start, start + self.clip_frames), *meanings[name])
            for library, meanings in self._guides
        ]
        return together([shown, *beside])


def _meanings(
    library: Library, names: Iterable[str], values: ValueRange
) -> dict[str, tuple[ValueRange, float | None, tuple[slice, slice]]]:
    """What `clip_tensor` needs to know of videos, by their names."""
    return {name: (library.range_in(name, values), library.missing(name), library.content(name)) for name in names}


class Windows(Sequence[tuple[str, int]]):
    """The windows of segments, each as the name of its video and its first frame.

    Worked out when they are asked for, since there are about as many as frames.
    """

    def __init__(self, segments: Sequence[Segment], frames: int, stride: int) -> None:
        self._segments, self._stride = tuple(segments), stride
        counts = [max(0, (segment.stop - segment.start - frames) // stride + 1) for segment in self._segments]
        self._ends = np.cumsum(counts, dtype=np.int64)
        """For each segment, how many windows it and those before it have."""

    def __len__(self) -> int:
        return int(self._ends[-1]) if self._segments else 0

    def __iter__(self) -> Iterator[tuple[str, int]]:
        count = 0
        for segment, end in zip(self._segments, self._ends.tolist(), strict=True):
            for position in range(end - count):
                yield segment.video, segment.start + position * self._stride
            count = end

    @overload
    def __getitem__(self, position: int) -> tuple[str, int]: ...
    @overload
    def __getitem__(self, position: slice) -> list[tuple[str, int]]: ...
    def __getitem__(self, position: int | slice) -> tuple[str, int] | list[tuple[str, int]]:
        if isinstance(position, slice):
            return [self[each] for each in range(len(self))[position]]
        position = range(len(self))[position]  # which counts from the end too, and refuses what is beyond
        index = int(np.searchsorted(self._ends, position, side="right"))
        before = int(self._ends[index - 1]) if index else 0
        segment = self._segments[index]
        return segment.video, segment.start + (position - before) * self._stride

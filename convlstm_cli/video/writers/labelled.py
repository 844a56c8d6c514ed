"""What the writers of files with named axes have in common: NetCDF, zarr and HDF5."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from convlstm_cli.errors import OutputError
from convlstm_cli.files import shown
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.source import Variable
from convlstm_cli.video.values import TYPES
from convlstm_cli.video.writers.arrangement import Arrangement, arrange, referring
from convlstm_cli.video.writers.base import FrameWriter


class LabelledWriter(FrameWriter):
    """An array with the axes, coordinates and attributes of its source, in the type in which that stores its values."""

    types = TYPES
    any_channels = True
    stand_ins: ClassVar[Mapping[str, str]] = {}
    """Types that the format does not have, and those that hold their values."""

    def _begin(self) -> None:
        self.arrangement = arrange(self.placement, self.shape, self.dtype, self.stand_ins)
        self._open(self.arrangement, self.placement.source.file_attributes)
        for variable in self.arrangement.variables:
            self._add(self._cleaned(variable))
        if (members := self.arrangement.members) is not None:
            self._add(members)
        self._add_frames(self.arrangement)

    def _write(self, frame: Frame) -> None:
        try:
            stored = self.arrangement.stored(frame)
        except ValueError as error:
            raise OutputError(f"{shown(self.path)}: cannot hold a frame ({error}); choose --format npz.") from error
        self._put(self.arrangement.key(self.frames - 1), stored)

    def _finish(self) -> None:
        times = self.arrangement.times(self.steps)
        if times is not None:
            self._add(self._cleaned(times))
        self._close()

    @property
    def steps(self) -> int:
        """Frames along the axis of time so far."""
        return self.placement.steps(self.frames)

    def _shape(self, steps: int) -> tuple[int, ...]:
        """The shape of the array with so many frames along the axis of time."""
        sizes = {"M": self.placement.members or 1, "T": steps}
        pairs = zip(self.arrangement.axes, self.arrangement.shape, strict=True)
        return tuple(sizes.get(letter, size) for letter, size in pairs)

    def _cleaned(self, variable: Variable) -> Variable:
        attributes = referring(variable.attributes, self.arrangement.variables)
        return Variable(variable.name, variable.dims, variable.values, attributes)

    @abstractmethod
    def _open(self, arrangement: Arrangement, attributes: Mapping[str, Any]) -> None:
        """Makes the file, its group with these attributes, and its axes."""

    @abstractmethod
    def _add(self, variable: Variable) -> None:
        """Writes a whole variable."""

    @abstractmethod
    def _add_frames(self, arrangement: Arrangement) -> None:
        """Makes the array of frames, with none yet."""

    @abstractmethod
    def _put(self, key: tuple[Any, ...], stored: NDArray[Any]) -> None:
        """Writes a frame, which may be beyond the end of the array."""

    @abstractmethod
    def _close(self) -> None:
        """Completes the file."""

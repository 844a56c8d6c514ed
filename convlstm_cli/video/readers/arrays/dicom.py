"""DICOM images through pydicom: of several frames, or a folder of one frame each in the order of instance numbers."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convlstm_cli.errors import InputError
from convlstm_cli.video.extras import load_extra
from convlstm_cli.video.packing import Packing, checked_scale, numbers, text
from convlstm_cli.video.readers.arrays.reader import array_reader
from convlstm_cli.video.readers.arrays.stored import Key, Stored, Values
from convlstm_cli.video.readers.checks import reading
from convlstm_cli.video.source import SourceFacts

if TYPE_CHECKING:
    import pydicom

WHITE_IS_LEAST = "its least number is white (MONOCHROME1); its numbers are kept, so its pictures are negatives"
"""The note about a file whose viewers show low numbers as bright."""


class DicomFile:
    """A DICOM file with pixels."""

    def __init__(self, path: Path, source: Path) -> None:
        """`source` is the file that messages name. Raises InputError, or DependencyError without pydicom."""
        self._path, self._source = path, source
        self._header = _header(path, source)
        try:
            rows, columns = int(self._header.Rows), int(self._header.Columns)
            frames, samples = int(self._header.get("NumberOfFrames") or 1), int(self._header.SamplesPerPixel)
        except (AttributeError, TypeError, ValueError) as error:
            raise InputError(f"{source}: holds no picture ({error}); leave it out.") from error
        self.shapes: Mapping[str, tuple[int, ...]] = {"": (frames, rows, columns, samples)}

    def stored(self, name: str) -> Stored:
        """The frames."""
        assert not name
        packing = self._packing()
        dtype = np.dtype(f"{'i' if self._header.get('PixelRepresentation') else 'u'}{self._width()}")
        return Stored(
            shape=self.shapes[""],
            dtype=dtype,
            read=self._read,
            dims=("time", "y", "x", "channel"),
            to_values=packing.to_values,
            unit=packing.unit,
            missing=packing.missing_value(dtype),
            times=self._times(),
            note=WHITE_IS_LEAST if self._header.get("PhotometricInterpretation") == "MONOCHROME1" else None,
            facts=lambda: SourceFacts("npz"),
        )

    def close(self) -> None:
        """Nothing stays open."""

    def _width(self) -> int:
        return max(int(self._header.get("BitsAllocated") or 8) // 8, 1)

    def _read(self, key: Key) -> Values:
        pixels = load_extra("pydicom.pixels", "dicom", self._source)
        frames, rows, columns, samples = self.shapes[""]
        steps, *rest = key
        chosen = range(frames)[steps] if isinstance(steps, slice) else [steps]
        shown = [np.asarray(pixels.pixel_array(self._path, index=number)) for number in chosen]
        piece = np.stack(shown).reshape(len(shown), rows, columns, samples)
        return piece[(slice(None) if isinstance(steps, slice) else 0, *rest)]

    def _packing(self) -> Packing:
        """The modality's scale and padding (DICOM PS3.3, C.11.1 and C.7.5.1.1.2)."""
        source = str(self._source)

        def one(name: str, usual: float) -> float:
            value = self._header.get(name)
            return usual if value in (None, "") else numbers(value, name, source)[0]

        padding = self._header.get("PixelPaddingValue")
        return Packing(
            unit=text(self._header.get("RescaleType", "")),
            scale=checked_scale(one("RescaleSlope", 1.0), source),
            offset=one("RescaleIntercept", 0.0),
            missing=() if padding is None else tuple(numbers(padding, "PixelPaddingValue", source)),
        )

    def _times(self) -> tuple[float, ...] | None:
        """Times of the frames: at an even step, or by the list of steps (PS3.3, C.7.6.5)."""
        count = self.shapes[""][0]
        if count == 1:
            return None
        if (vector := self._header.get("FrameTimeVector")) is not None:
            steps = numbers(list(vector), "FrameTimeVector", str(self._source))
        elif self._header.get("FrameTime"):
            steps = [0.0, *numbers(self._header.FrameTime, "FrameTime", str(self._source)) * (count - 1)]
        else:
            return None
        rises = len(steps) == count and all(step > 0 for step in steps[1:])
        return tuple(round(float(time), 6) for time in np.cumsum([0.0, *steps[1:]]) / 1000) if rises else None


def position(path: Path) -> float:
    """The instance number of a file of one frame; 0 where it has none. Raises InputError."""
    return float(_header(path, path).get("InstanceNumber") or 0)


def _header(path: Path, source: Path) -> "pydicom.Dataset":
    """All of a file but its pixels. Raises InputError, or DependencyError without pydicom."""
    library: Any = load_extra("pydicom", "dicom", source)
    try:
        with reading(source):
            header: pydicom.Dataset = library.dcmread(path, stop_before_pixels=True)
            return header
    except InputError:
        raise
    except Exception as error:  # pydicom raises what it likes where a file is damaged
        raise InputError(f"{source}: is damaged or not a DICOM file ({error}); copy or download it again.") from error


READER = array_reader("dicom", "DICOM images", frozenset({".dcm"}), DicomFile, position=position)

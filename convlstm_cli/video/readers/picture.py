"""Decoded pictures of any pixel format as frames: upright, square pixels, on black."""

from pathlib import Path

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers.checks import CONVERT, check_pixels, turned_note
from convlstm_cli.video.readers.container import ContainerFacts
from convlstm_cli.video.readers.decoding import over_black
from convlstm_cli.video.values import native


class Picture:
    """Turns decoded pictures of one video into frames."""

    def __init__(self, path: Path, facts: ContainerFacts, *, holes: bool = False) -> None:
        """With `holes`, pixels that are wholly transparent are missing: the frames are float32, with NaN there."""
        self._holes = holes
        self._path, self._facts = path, facts
        self._reformatter = VideoReformatter()
        self._uses_alpha: bool | None = None
        self.notes: list[str] = []
        """What was done to the shape of the pictures; complete after the first."""

    def upright(self, frame: VideoFrame) -> Frame:
        """A picture as (H, W, 3) RGB of uint8, or of uint16 where it has more than 8 bits.

        Grey of more than 8 bits is (H, W, 1) of the numbers that the file holds; colour is scaled to 16 bits. With
        holes it is float32. Raises InputError for one that is too large.
        """
        pixels, alpha = self._pixels(frame)
        return self._turned(self._on_black(pixels) if alpha else pixels, frame)

    def is_transparent(self, frame: VideoFrame) -> bool:
        """Whether a picture has wholly transparent pixels. Raises InputError as `upright` does."""
        pixels, alpha = self._pixels(frame)
        return alpha and self._alpha_counts(pixels[:, :, 3]) and not pixels[:, :, 3].all()

    def _pixels(self, frame: VideoFrame) -> tuple[Frame, bool]:
        """A picture as (H, W, C), not yet turned, and whether its last channel is alpha."""
        height, width = self._sides(frame)
        bits = max(component.bits for component in frame.format.components)
        alpha = frame.format.has_palette or any(component.is_alpha for component in frame.format.components)
        if bits > 8 and frame.format.name.startswith("gray"):
            target = frame.format.name
        else:
            target = ("rgba64le" if alpha else "rgb48le") if bits > 8 else ("rgba" if alpha else "rgb24")
        # Bicubic, as OpenCV has it: chroma of odd sides is interpolated.
        try:
            shown = self._reformatter.reformat(frame, width, height, target, interpolation="BICUBIC").to_ndarray()
        except (av.error.FFmpegError, ValueError) as error:
            raise InputError(f"{self._path}: has pixels of the format {frame.format.name}; {CONVERT}.") from error
        return native(shown.reshape(height, width, -1), str(self._path)), target.startswith("rgba")

    def _sides(self, frame: VideoFrame) -> tuple[int, int]:
        """Height and width at which pixels are square: the side on which they are longer grows."""
        aspect = self._facts.pixel_aspect
        height = frame.height if aspect >= 1 else round(frame.height / aspect)
        width = frame.width if aspect <= 1 else round(frame.width * aspect)
        check_pixels(self._path, height, width)
        if (height, width) != (frame.height, frame.width) and not self.notes:
            self.notes.append(
                f"its pixels are not square ({aspect.numerator}:{aspect.denominator}), so it is stretched from "
                f"{frame.width}x{frame.height} to {width}x{height}"
            )
        return height, width

    def _on_black(self, pixels: Frame) -> Frame:
        """RGBA pixels over black."""
        colours, alpha = pixels[:, :, :3], pixels[:, :, 3:]
        if not self._alpha_counts(alpha) or alpha.min() == np.iinfo(pixels.dtype).max:
            return np.ascontiguousarray(colours, np.float32 if self._holes else None)
        return over_black(colours, alpha, holes=self._holes)

    def _alpha_counts(self, alpha: Frame) -> bool:
        """Whether alpha says anything. Where the first picture is all transparent, it is taken for unused."""
        if self._uses_alpha is None:
            self._uses_alpha = bool(alpha.any())
        return self._uses_alpha

    def _turned(self, pixels: Frame, frame: VideoFrame) -> Frame:
        """The pixels turned by quarters and mirrored, as the file asks."""
        matrix = _matrix(frame)
        if matrix is None or matrix == (1, 0, 0, 1):
            return pixels
        a, b, c, d = matrix
        self._note(turned_note(-frame.rotation) if a * d - b * c > 0 else "it is mirrored, as the file asks")
        if b:  # columns become rows
            pixels = pixels.swapaxes(0, 1)
        return np.ascontiguousarray(pixels[:: d or b, :: a or c])

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _matrix(frame: VideoFrame) -> tuple[int, int, int, int] | None:
    """Signs of a, b, c and d in x' = a x + c y, y' = b x + d y; None without them, or for no turn by quarters."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(data, SideData):
        return None
    a, b, _, c, d = np.sign(np.frombuffer(bytes(data), np.int32)[:5]).tolist()
    return (a, b, c, d) if (a and d and not (b or c)) or (b and c and not (a or d)) else None

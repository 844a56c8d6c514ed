"""GIF, through Pillow."""

from PIL import GifImagePlugin, Image

from convlstm_cli.video.colour import Frame
from convlstm_cli.video.writers.base import FrameWriter


class GifWriter(FrameWriter):
    """An endless GIF: exact in grey, a palette of 256 colours for each frame in colour.

    It is written frame by frame, since Pillow's Image.save would hold all frames and merge equal neighbours. A GIF
    counts time in hundredths of a second, and viewers slow down frames that are shown for less than two of them.
    """

    is_preview = True

    def _begin(self) -> None:
        self._duration = 10 * min(max(2, round(100 / self.fps)), 65535)  # milliseconds
        self._file = self.cleanup.enter_context(self.partial.open("wb"))

    def _write(self, frame: Frame) -> None:
        if frame.shape[2] == 1:
            image = Image.fromarray(frame[:, :, 0])
        else:
            image = Image.fromarray(frame).quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        if self.frames == 1:
            header, _ = GifImagePlugin.getheader(image, info={"loop": 0})
            self._file.writelines(header)
        self._file.writelines(GifImagePlugin.getdata(image, duration=self._duration, include_color_table=True))

    def _finish(self) -> None:
        self._file.write(b";")
        self._file.close()

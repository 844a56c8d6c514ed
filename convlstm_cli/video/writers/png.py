"""PNG: a folder of numbered images."""

import io
from typing import ClassVar

from convlstm_cli.errors import OutputError
from convlstm_cli.files import shown
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers.images import ImagesWriter


class PngWriter(ImagesWriter):
    """A folder of PNG images of 8 or 16 bits; exact. Frames of 2 or 4 channels have alpha as the last."""

    types = frozenset({"uint8", "uint16"})
    takes_alpha = True
    suffix: ClassVar = ".png"

    def _encoded(self, frame: Frame) -> bytes:
        if frame.shape[2] in (2, 4):  # by Pillow, since OpenCV has no grey with alpha
            from PIL import Image  # here, because it takes 10 ms to import, and few frames have alpha

            alpha = io.BytesIO()
            Image.fromarray(frame).save(alpha, "png")
            return alpha.getvalue()
        pixels = frame if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        # Not imwrite, which returns the same False for a full disk and for a folder that is read-only.
        encoded, content = cv2.imencode(".png", pixels)
        if not encoded:
            raise OutputError(f"{shown(self.path)}: OpenCV cannot encode PNG here; choose --format npy.")
        return bytes(content.tobytes())

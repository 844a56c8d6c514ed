"""Frames of a video file by OpenCV's FFmpeg, as far as they come one after another in even steps."""

from collections.abc import Generator
from pathlib import Path

import numpy as np

from convlstm_cli.video.opencv import VIDEO_BACKEND, cv2
from convlstm_cli.video.readers.checks import opencv_name, turned_note
from convlstm_cli.video.readers.container import ContainerFacts
from convlstm_cli.video.readers.stop import Halt
from convlstm_cli.video.readers.video_reader import TimedFrame

LONGEST_STEP = 1.5
"""Frames further apart than so many usual steps have others between them."""


def opencv_frames(path: Path, facts: ContainerFacts, notes: list[str]) -> Generator[TimedFrame, None, Halt | None]:
    """The frames up to the end, or up to the first that does not follow in time: there OpenCV has dropped some.

    Returns where it stopped; None if it gave no frame.
    """
    capture = cv2.VideoCapture(opencv_name(path), VIDEO_BACKEND)
    try:
        turned = int(capture.get(cv2.CAP_PROP_ORIENTATION_META)) if capture.isOpened() else 0
        if turned:
            notes.append(turned_note(turned))
        longest = 1000 * LONGEST_STEP / facts.fps if facts.fps else float("inf")
        first = last = 0.0
        number = 0
        while True:
            decoded, frame = capture.read()
            now = capture.get(cv2.CAP_PROP_POS_MSEC)
            if not decoded or (number > 0 and not last < now < last + longest):
                return None if number == 0 else Halt(number, first / 1000, last / 1000, decoded and now <= last)
            number += 1
            first, last = now if number == 1 else first, now
            yield TimedFrame(np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8), (now - first) / 1000)
    finally:
        capture.release()

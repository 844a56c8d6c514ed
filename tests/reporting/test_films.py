import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from convlstm_cli.reporting import films
from convlstm_cli.reporting.films import film
from convlstm_cli.reporting.pictures import to_image
from convlstm_cli.video.painting import Painter


def decoded(address: str) -> np.ndarray:
    kind, data = address.split(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_film_has_its_frames_beside_each_other(channels: int) -> None:
    rows = {"input": torch.rand(3, channels, 8, 12), "truth": torch.rand(2, channels, 8, 12)}
    made = film("square", rows, {"truth": "what came"}, Painter())
    assert (made.seen, made.ahead, made.frames) == (3, 2, 5)
    assert made.times == [-2, -1, 0, 1, 2]
    assert (made.width, made.height) == (12 * 11, 8 * 11)  # whole multiples
    [panel] = made.panels
    assert panel.label == "what came"
    assert np.array_equal(decoded(panel.address), np.hstack([to_image(frame, Painter()) for frame in rows["truth"]]))
    assert decoded(made.input_address).shape == (8, 36, 3)


def test_large_frames_are_shrunk_and_long_clips_cut_at_their_outer_ends() -> None:
    frames = torch.linspace(0, 1, 50)[:, None, None, None].expand(50, 1, 4, 200)
    made = film("long", {"input": frames, "truth": frames}, {}, Painter())
    assert (made.seen, made.ahead) == (films.FRAMES, films.FRAMES)
    assert decoded(made.panels[0].address).shape == (2, 96 * films.FRAMES, 3)
    assert decoded(made.panels[0].address)[0, 0, 0] == 0
    assert decoded(made.input_address)[0, -1, 0] == 255


def test_noise_is_compressed_with_loss() -> None:
    noise = torch.rand(20, 3, 96, 96)
    [panel] = film("noise", {"input": noise[:1], "truth": noise}, {}, Painter()).panels
    shown, exact = decoded(panel.address), np.hstack([to_image(frame, Painter()) for frame in noise])
    assert shown.shape == exact.shape
    assert not np.array_equal(shown, exact)

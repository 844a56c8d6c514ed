import pytest

from convlstm_cli.forecasting.tiling.memory import certain_memory, inference_memory, members_that_fit
from convlstm_cli.nn import ForecasterConfig

pytestmark = pytest.mark.usefixtures("short_motion")

# One layer of 3x3 kernels that reads 2 frames and gives 2: what it forecasts comes from at most 4 patches away.
LOCAL = ForecasterConfig(16, 16, 1, hidden=(3,), patch_size=2, input_frames=2, horizon=2, peephole_init="uniform")


def test_what_is_expected_grows_with_the_pixels_and_with_the_states() -> None:
    held, working = inference_memory(LOCAL, 128, 128, 2, 8)
    more, most = inference_memory(LOCAL, 128, 256, 2, 8)
    assert more == pytest.approx(2 * held, rel=0.05)
    assert most == pytest.approx(2 * working, rel=0.05)
    states = 2 * 3 * 64 * 64 * 4
    planes = 2 + 6 + 6 + 10 + 8  # the last frame twice, motions, how far each moved it, past errors, the last piece
    assert held == pytest.approx(states + planes * 128 * 128 * 4, rel=0.05)


@pytest.mark.parametrize(
    "config",
    [
        ForecasterConfig(64, 64, 1),
        ForecasterConfig(64, 64, 3, hidden=(1,), patch_size=8, input_frames=2),
        ForecasterConfig(32, 32, 1, hidden=(64, 64), patch_size=1, kernel_size=5),
        ForecasterConfig(64, 64, 1, head="sigmoid", forecaster="unconditioned", peephole="full"),
    ],
)
@pytest.mark.parametrize("chunk", [1, 8])
def test_what_is_certain_is_never_less_than_what_is_counted(config: ForecasterConfig, chunk: int) -> None:
    size = config.height, config.width
    counted = sum(inference_memory(config, *size, config.input_frames, chunk))
    assert counted <= certain_memory(config, *size, config.input_frames, chunk) < 100 * counted


def test_as_many_members_as_fit_and_one_at_least() -> None:
    config = ForecasterConfig(16, 16, 1, hidden=(3,), patch_size=2, input_frames=2, horizon=2, noise=True)
    each = sum(inference_memory(config, 64, 64, 2, 8))

    def fitting(memory: int, frame: tuple[int, int] = (64, 64)) -> int:
        return members_that_fit(config, (64, 64), frame, 2, 8, most=8, memory=memory)

    assert [fitting(memory) for memory in (0, each, 2**40)] == [1, 1, 8]
    assert 2 <= fitting(4 * each) < 4
    assert fitting(4 * each, (640, 960)) == 1  # the noise is that of the whole frame

import torch

from convlstm_cli.compute.meta import Allocated

SIZE = 4 * 100 * 100


def test_what_is_held_and_what_was_held_at_once() -> None:
    with torch.device("meta"), Allocated() as allocated:
        one = torch.empty(100, 100)
        assert allocated.now == SIZE
        two = one + one
        view = two[:50].T
        assert allocated.now == 2 * SIZE  # a view has no storage of its own
        del one
        assert allocated.now == SIZE
        del two
        assert (allocated.now, allocated.peak) == (SIZE, 2 * SIZE)
        del view
    assert (allocated.now, allocated.peak) == (0, 2 * SIZE)


def test_what_autograd_keeps_for_the_backward_pass_is_held() -> None:
    with torch.device("meta"):
        weight = torch.empty(100, 100, requires_grad=True)
        with Allocated() as allocated:
            result = (weight @ weight).tanh().sum()
            assert allocated.now == SIZE + 4  # of tanh, and the sum
            del result
    assert allocated.now == 0


def test_reading_an_image_elsewhere_is_one_tensor_of_the_size_of_its_places() -> None:
    with torch.device("meta"), Allocated() as allocated:
        image, places = torch.empty(2, 3, 10, 10), torch.empty(2, 5, 7, 2)
        before = allocated.now
        seen = torch.nn.functional.grid_sample(image, places, align_corners=False)
        assert seen.shape == (2, 3, 5, 7)
        assert allocated.now - before == allocated.peak - before == 4 * seen.numel()

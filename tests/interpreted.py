"""Triton for tests: its interpreter where there is no GPU, else its compiler. Skips the test file where neither can be.

Triton and all kernels are imported here, because what a kernel is gets decided where it is decorated.
"""

import importlib.util
import sys
from typing import Any

import pytest
import torch

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed", allow_module_level=True)
INTERPRETED = not torch.cuda.is_available()
if INTERPRETED and "triton" in sys.modules:
    pytest.skip("Triton is loaded already, without its interpreter", allow_module_level=True)
with pytest.MonkeyPatch.context() as environment:
    if INTERPRETED:
        environment.setenv("TRITON_INTERPRET", "1")
    import triton  # type: ignore[import-untyped,import-not-found,unused-ignore]
    import triton.language as tl  # type: ignore[import-untyped,import-not-found,unused-ignore]

    import convlstm_cli.nn.gates.triton
    import convlstm_cli.nn.motion.triton_advance
    import convlstm_cli.nn.motion.triton_search  # noqa: F401

__all__ = ["DEVICES", "INTERPRETED", "interpreter", "on_each_device", "tl", "triton"]

DEVICES = [
    pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="Triton compiles for the GPU here")),
    pytest.param("cuda", marks=(pytest.mark.gpu, pytest.mark.skipif(INTERPRETED, reason="no CUDA device here"))),
]
on_each_device = pytest.mark.parametrize("device", DEVICES)


@pytest.fixture(autouse=True)
def interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Triton loads the rest of itself when a kernel first runs; other tests shall not see the setting."""
    if not INTERPRETED:
        return
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    if tuple(map(int, triton.__version__.split(".")[:2])) < (3, 7):
        _count_with_scalars(monkeypatch)


def _count_with_scalars(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the interpreter of Triton 3.6, which belongs to PyTorch 2.11, run loops beside NumPy 2.4.

    It takes int() of an array of one value, which NumPy no longer gives. Kernels that are compiled do not meet this.
    """
    from triton.runtime import interpreter  # type: ignore[import-untyped,import-not-found,unused-ignore]

    patch_tensor = interpreter._patch_lang_tensor

    def patch(tensor: Any, scope: Any) -> None:
        patch_tensor(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda value: int(value.handle.data.item()))

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patch)

"""The measured networks and their inputs, and smaller ones for tests. Needs nothing but Python."""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Layer:
    """One ConvLSTM layer of a network."""

    fan_in: int
    """Channels of its input; 0 for none."""
    hidden: int
    first: bool
    """Whether its input is the data, which needs no gradient."""


@dataclass(frozen=True)
class Shape:
    """A network of ConvLSTM layers and its input."""

    name: str
    size: int
    """Height and width."""
    channels: int
    batch: int
    hidden: tuple[int, ...]
    """Hidden channels of each layer."""
    kernel: int
    steps: int
    forecaster: bool = False
    """Whether a second stack of as many layers follows, which starts from the encoder's states, for `steps` steps."""

    @classmethod
    def read(cls, record: dict[str, Any]) -> "Shape":
        """The shape of a record that `asdict` and JSON made."""
        return cls(**record | {"hidden": tuple(record["hidden"])})

    @property
    def encoder(self) -> list[Layer]:
        """The layers whose initial states are zero."""
        fans_in = (self.channels, *self.hidden)
        return [Layer(a, b, i == 0) for i, (a, b) in enumerate(zip(fans_in, self.hidden, strict=False))]

    @property
    def decoder(self) -> list[Layer]:
        """Layers of the forecaster; the first has no input."""
        return [replace(layer, fan_in=0 if layer.first else layer.fan_in) for layer in self.encoder * self.forecaster]

    def __str__(self) -> str:
        hidden, kernel = "-".join(map(str, self.hidden)), f"{self.kernel}x{self.kernel}"
        layers = f"{len(self.hidden)}+{len(self.hidden)} layers" if self.forecaster else "one layer"
        steps = f"{self.steps} -> {self.steps}" if self.forecaster else f"T = {self.steps}"
        image = f"{self.size}x{self.size}x{self.channels}"
        return f"{layers}, {image}, batch {self.batch}, hidden {hidden}, {kernel}, {steps}"


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("a", 64, 1, 8, (64,), 3, 10),
        Shape("b", 16, 16, 8, (128, 64, 64), 5, 10, forecaster=True),  # Shi et al. 2015 on Moving MNIST
        Shape("c", 128, 3, 2, (32,), 3, 10),
    )
}

GROWTH_STEPS = {t: Shape(f"T{t}", 32, 1, 4, (32,), 3, t) for t in (10, 20, 40, 80)}
"""One layer over sequences of increasing length."""
GROWTH_SIZE = {side: Shape(f"S{side}", side, 1, 4, (32,), 3, 10) for side in (32, 64, 128)}
"""One layer over images of increasing size."""


def tiny(shape: Shape) -> Shape:
    """The same network, small enough for a test."""
    return replace(
        shape,
        size=max(4, shape.size // 8),
        batch=1,
        hidden=tuple(max(2, hidden // 16) for hidden in shape.hidden),
        steps=max(2, shape.steps // 5),
    )

"""Made-up scores, as JSON holds them, that the tests of runs/ share."""

from typing import Any


def scores(mse: float | None = 0.1, leads: int = 2, **more: Any) -> dict[str, Any]:
    values = {"mse": mse, "psnr": None, "ssim": 0.5, **more}
    by_lead_time = {name: [value] * leads for name, value in values.items()}
    return {"clips": 1, "by_lead_time": by_lead_time, "mean": values, "unit": ""}


def evaluation() -> dict[str, Any]:
    return {"skill": None, "model": scores(), "persistence": scores(0.2), "another": scores(0.3, sharpness=2.0)}

import xml.etree.ElementTree as ET

import numpy as np

from convlstm_cli.reporting.styles import (
    ARM_STYLES,
    BASELINE_STYLES,
    MODEL_STYLE,
    arm_styles,
    swatch,
    system_headings,
    system_labels,
    system_styles,
)
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.members.baselines import ENSEMBLE_BASELINES


def test_styles_are_distinct_on_white_and_on_near_black() -> None:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for style in (MODEL_STYLE, *BASELINE_STYLES, *ARM_STYLES):
        for paper in ("#ffffff", "#14171a"):
            pair = sorted((luminance(style.colour), luminance(paper)))
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 3.0, style  # WCAG 2.1, 1.4.11
        ET.fromstring(swatch(style))
    assert len({style.dashes for style in (MODEL_STYLE, *BASELINE_STYLES)}) == 1 + len(BASELINE_STYLES)
    assert len({style.marker for style in ARM_STYLES}) == len(ARM_STYLES)


def test_every_system_has_a_style_a_label_and_a_heading() -> None:
    names = ["members", "model", "guarded", "members_mean", *BASELINES, *ENSEMBLE_BASELINES]
    assert list(system_styles()) == list(system_labels()) == list(system_headings()) == names
    assert len(arm_styles([str(number) for number in range(12)])) == 12  # more than there are styles

import pytest
import torch

from convlstm_cli.reporting.members_wording import texture_verdict
from convlstm_cli.reporting.spectra_section import spectra_section
from convlstm_cli.scoring.members.spectra import PooledSpectra, Spectra


def spectra_of(share: float, leads: int = 6, clips: int = 3) -> PooledSpectra:
    """Spectra of two members with a share of the truth's amplitude, and of a forecast and optical flow with half."""
    truth = 0.5 + 0.1 * torch.randn(clips, leads, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    found = Spectra()
    half = (truth / 2)[None]
    found.add(
        {"members": torch.stack((truth, truth)) * share, "model": half, "optical_flow": half, "dressed": half}, truth
    )
    return found.pooled()


def test_a_few_lead_times_and_the_changes_are_drawn_beside_the_truth() -> None:
    section = spectra_section(spectra_of(1.0))
    assert [caption for _, caption in section.charts] == [
        "1 frame ahead",
        "4 frames ahead",
        "6 frames ahead",
        "over lead times",
    ]
    assert [label for label, _ in section.legend] == ["truth", "optical flow", "forecast", "members"]
    for svg, _ in section.charts:
        assert "currentColor" in svg
    assert "wavelength in pixels" in section.charts[0][0]
    assert "period in frames" in section.charts[-1][0]
    rows = {row.label: row for row in section.rows}
    assert rows["members"].by_lead_time == pytest.approx((1.0, 1.0))
    assert rows["forecast"].temporal == pytest.approx((0.25, 0.25))
    assert "optical flow with past errors" in rows  # in the table only


def test_one_lead_time_has_one_chart_and_no_changes() -> None:
    assert [caption for _, caption in spectra_section(spectra_of(1.0, leads=1)).charts] == ["1 frame ahead"]


@pytest.mark.parametrize(
    ("share", "texture", "changes"),
    [
        (1.0, "1.00 to 1.00 times the truth's: they are like the truth within 20 %", "they are like the truth"),
        (
            0.5,
            "0.25 to 0.25 times the truth's: they are blurred",
            "0.25 times the truth's by period: they are sluggish",
        ),
        (
            2.0,
            "4.00 to 4.00 times the truth's: they are grainy",
            "4.00 times the truth's by period: they are flickering",
        ),
    ],
)
def test_the_verdict_says_how_textured_the_members_are(share: float, texture: str, changes: str) -> None:
    first, second = texture_verdict(spectra_of(share))
    assert "at wavelengths above 4 pixels and any lead time" in first
    assert texture in first
    assert changes in second


def test_members_of_different_faults_are_not_judged_as_one() -> None:
    truth = 0.5 + 0.1 * torch.randn(3, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    members = torch.cat((truth[:, :1] / 2, truth[:, 1:] * 2), dim=1)
    found = Spectra()
    found.add({"members": members[None]}, truth)
    [only] = texture_verdict(found.pooled())  # too few lead times for changes
    assert "some are blurred, others grainy" in only


def test_nothing_is_said_of_a_truth_without_texture() -> None:
    found = Spectra()
    found.add({"members": torch.rand(2, 3, 6, 1, 16, 16)}, torch.full((3, 6, 1, 16, 16), 0.5))
    assert texture_verdict(found.pooled()) == []

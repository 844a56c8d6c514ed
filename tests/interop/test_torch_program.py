"""Programs of torch.export held to the network; `CONVLSTM_EXPORT=all` exports every kind, which takes minutes."""

import pytest
import torch
from exporting import KINDS, Kind, exported, trials

pytestmark = pytest.mark.usefixtures("two_motions")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_torch_programs_forecast_what_the_network_does(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> None:
    export = exported(kind, tmp_path_factory)
    with torch.no_grad():
        for frames, horizon in trials(export.network):
            found = export.torch_program(frames, horizon)
            # The network's motion may come from the compiled kernel, and a search in random frames amplifies rounding.
            torch.testing.assert_close(found, export.network(frames, horizon), rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_no_program_names_paths_of_the_machine_that_wrote_it(
    kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    export = exported(kind, tmp_path_factory)
    package = __file__.rpartition("/tests/")[0].encode()
    programs = [path for path in export.result.folder.iterdir() if path.suffix in (".pt2", ".onnx")]
    assert len(programs) >= 3
    for path in programs:
        assert package not in path.read_bytes()

"""The public names of the package, what its import costs, and its errors."""

import importlib
import re
import subprocess
import sys

import pytest

import convlstm_cli


@pytest.mark.parametrize("name", convlstm_cli.__all__)
def test_public_names_exist_and_are_the_same_every_time(name: str) -> None:
    assert getattr(convlstm_cli, name) is getattr(convlstm_cli, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'forecat'"):
        _ = convlstm_cli.forecat


def test_the_package_imports_without_torch_and_opencv() -> None:
    code = "import sys, convlstm_cli, convlstm_cli.nn; assert not {'torch', 'cv2', 'av'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_error_has_its_documented_exit_code() -> None:
    errors = importlib.import_module("convlstm_cli.errors")
    tree = re.findall(r"[├└]── (\w+) +(\d+)", errors.__doc__ or "")
    assert len(tree) == 8
    for name, code in tree:
        assert getattr(errors, name).exit_code == int(code)

"""The examples of nn/README.md run, and its tables have all arguments of Keras' layers and of ours."""

import inspect
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from convlstm_cli.nn import ConvLSTM, ConvLSTMStack, interop

README = (Path(interop.__file__).parents[1] / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^#+ (.*?)$|^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def examples() -> dict[str, str]:
    """The python blocks by the heading that they stand under."""
    found, heading = {}, ""
    for title, code in EXAMPLES:
        heading = title or heading
        if code:
            found[heading if heading not in found else f"{heading}, again"] = code
    return found


@pytest.mark.parametrize("heading", examples())
def test_examples_run(heading: str) -> None:
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(compile(examples()[heading], f"nn/README.md, {heading}", "exec"), names)


def test_each_system_to_port_from_has_an_example() -> None:
    headings = re.findall(r"^### (From .*)$", README, re.MULTILINE)
    assert len(headings) == 4
    assert set(headings) < set(examples())


def table(heading: str) -> set[str]:
    """The words in code of the section under a heading."""
    section = README.split(f"### {heading}\n")[1].split("```")[0]
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", section))))


def test_the_table_of_keras_has_every_argument() -> None:
    golden = Path(__file__).with_name("golden") / "saved-keras-3.15.1.keras"
    with zipfile.ZipFile(golden) as archive:
        layers = json.loads(archive.read("config.json"))["config"]["layers"]
    config = next(layer["config"] for layer in layers if layer["class_name"] == "ConvLSTM2D")
    general = {"name", "trainable", "dtype", "unroll"}
    arguments = {name for name in config if not re.search(r"_(regularizer|constraint)$", name)} - general
    assert len(arguments) > 20
    assert arguments <= table("From Keras")


def test_keyword_arguments_in_the_tables_are_ours() -> None:
    known = {*inspect.signature(ConvLSTM).parameters, *inspect.signature(ConvLSTMStack).parameters}
    rows = re.findall(r"^\|.*\|(.*)\|$", README.split("## Porting\n")[1].split("## The systems")[0], re.MULTILINE)
    named = set(re.findall(r"`(?:\w+\(\.\.\., )?(\w+)=[^`]*`", " ".join(rows)))
    assert len(named) >= 7
    assert named <= known

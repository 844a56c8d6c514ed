from dataclasses import dataclass

import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.registry import Registry
from convlstm_cli.settings import check_choice


@dataclass(frozen=True)
class Entry:
    name: str


def test_entries_keep_their_order_and_are_found_by_name() -> None:
    registry = Registry("thing", [Entry("b"), Entry("a")])
    assert list(registry) == ["b", "a"]
    added = registry.add(Entry("c"))
    assert registry["c"] is added
    assert len(registry) == 3


def test_a_name_is_given_once() -> None:
    registry = Registry("thing", [Entry("a")])
    with pytest.raises(ValueError, match="thing named 'a'"):
        registry.add(Entry("a"))


def test_an_unknown_name_is_refused_with_all_that_there_are() -> None:
    registry = Registry("thing", [Entry("a"), Entry("b")])
    with pytest.raises(UsageError, match="--thing is 'c'; choose one of a, b"):
        check_choice("--thing", "c", registry)
    with pytest.raises(KeyError):
        registry["c"]

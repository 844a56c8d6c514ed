import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.shards import Shard, from_environment, parse_shard


def array(task: int, count: int, **others: int) -> dict[str, str]:
    named = {"ID": task, "COUNT": count, **others}
    return {f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in named.items()}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_item_is_in_one_shard(count: int) -> None:
    items = list(range(5))
    shares = [Shard(index, count).of(items) for index in range(count)]
    assert sorted(item for share in shares for item in share) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_a_share_is_written_from_zero() -> None:
    assert parse_shard("0/4") == Shard(0, 4)
    assert str(parse_shard(" 3/4 ")) == "3/4"


@pytest.mark.parametrize("text", ["4/4", "1/0", "0/0", "-1/4", "1", "1/2/3", "a/b", "0.5/2", ""])
def test_other_shares_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--shard is"):
        parse_shard(text)


def test_the_last_share_by_counting_from_one_is_told_how_to_count() -> None:
    with pytest.raises(UsageError, match=r"4/4; shards count from 0, .* 0/4 to 3/4"):
        parse_shard("4/4")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (0, 1)),
        ({"RANK": "2", "WORLD_SIZE": "3"}, (2, 3)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, (0, 1)),
        ({"RANK": "5"}, (0, 1)),  # of something else than torchrun
        ({"RANK": "1", "WORLD_SIZE": "2", **array(3, 4)}, (1, 2)),  # torchrun inside an array task
        ({"RANK": "0", "WORLD_SIZE": "1", **array(3, 4)}, (3, 4)),
        (array(3, 4), (3, 4)),
        (array(4, 4, MIN=1, MAX=4, STEP=1), (3, 4)),  # 1-4
        (array(6, 4, MIN=0, MAX=6, STEP=2), (3, 4)),  # 0-6:2
        (array(2, 4, MIN=0, MAX=7, STEP=2), (1, 4)),  # 0-7:2, by the end that was asked for
        (array(11, 3, MIN=5, MAX=11, STEP=3), (2, 3)),
        (array(7, 1, MIN=7, MAX=7, STEP=1), (0, 1)),  # one task takes all
    ],
)
def test_the_share_that_a_scheduler_means(variables: dict[str, str], expected: tuple[int, int]) -> None:
    found = from_environment(variables)
    assert (found.index, found.count) == expected


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"WORLD_SIZE": "4"}, "RANK is not there"),
        ({"WORLD_SIZE": "4", "RANK": "x"}, "RANK is 'x'"),
        ({"WORLD_SIZE": "many", "RANK": "0"}, "WORLD_SIZE is 'many'"),
        ({"WORLD_SIZE": "4", "RANK": "4"}, "RANK/WORLD_SIZE is 4/4"),
        ({"SLURM_ARRAY_TASK_COUNT": "4"}, "SLURM_ARRAY_TASK_ID is not there"),
        (array(4, 4), "SLURM_ARRAY_TASK_ID/SLURM_ARRAY_TASK_COUNT is 4/4"),
        (array(7, 3, MIN=1, MAX=7, STEP=1), "not evenly spaced.*--shard"),  # 1,3,7
        (array(3, 2, MIN=1, MAX=3, STEP=1), "not evenly spaced"),  # 1,3
        (array(1, 2, MIN=0, MAX=2, STEP=2), "not evenly spaced"),
        (array(1, 2, STEP=0), "not evenly spaced"),
    ],
)
def test_what_makes_no_sense_is_refused(variables: dict[str, str], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        from_environment(variables)

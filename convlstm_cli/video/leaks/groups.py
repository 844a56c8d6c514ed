"""Groups of videos by their names, such as those of one person, patient, station or day. Imports no OpenCV."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from convlstm_cli.errors import InputError, UsageError

AUTO, NONE = "auto", "none"

DATE = r"(?:19|20)\d\d(?P<between>[-_.]?)(?:0[1-9]|1[0-2])(?P=between)(?:0[1-9]|[12]\d|3[01])"
PATTERNS = (
    r"^((?:[^/\d]+/)*[^/\d]*\d[^/]*)/",  # the first folder with a number in its name
    rf"(?:^|/)([^/\d.]*(?:{DATE}|\d+(?=[^/\d.])))[^/]*$",  # a name up to its first number, if more follows, or date
    rf"(?<!\d)({DATE})(?!\d)(?=[^/]*$)",  # the day in a name
    r"([sS]\d+[ ._-]?[eE]\d+)[^/]*$",  # an episode
)
"""What `auto` tries, in this order, as patterns that could be given instead."""

LEAST_GROUPS = 3
"""Groups that `auto` asks for: with fewer, not every part of a split has one."""
SHOWN = 3
"""Groups that `describe` names."""


@dataclass(frozen=True)
class Groups:
    """Which videos are of one group."""

    of: Mapping[str, str]
    """The group of each video that is in one, by the video's name."""
    pattern: str | None
    """The regular expression that found them; None where there are no groups."""
    automatic: bool
    """Whether the pattern was found rather than given."""

    def members(self) -> dict[str, list[str]]:
        """Names of the videos of each group, in their order."""
        found: dict[str, list[str]] = defaultdict(list)
        for video, group in self.of.items():
            found[group].append(video)
        return dict(found)

    def describe(self) -> str:
        """The groups in one line for people; empty where there are none."""
        members = self.members()
        if not members:
            return ""
        shown = [f"{group}: {len(names)} video{'s' * (len(names) != 1)}" for group, names in members.items()]
        more = ["..."] if len(shown) > SHOWN else []
        line = f"{len(members)} groups of videos are kept together ({', '.join(shown[:SHOWN] + more)})"
        return f"{line}; --group-by none splits by video" if self.automatic else line


NO_GROUPS = Groups({}, None, automatic=False)


def is_pattern(text: str) -> bool:
    """Whether a text is a regular expression, and not an empty one."""
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return bool(text)


def check_group_by(value: str) -> None:
    """Raises UsageError that names --group-by unless the value is `auto`, `none` or a regular expression."""
    if not is_pattern(value):
        raise UsageError(
            f"--group-by is {value!r}, which is no regular expression; give one such as 'person\\d+', auto or none."
        )


def find_groups(names: Iterable[str], group_by: str) -> Groups:
    """The groups of videos by their names, paths below a folder with forward slashes.

    `group_by` is `none`, `auto`, or a regular expression, whose first capture group, or whole match, is the group.
    `auto` keeps together what shares a folder with a number, or else the stem up to a number, where every name has that
    form, there are at least `LEAST_GROUPS` groups, and most videos are in one of two or more.
    Raises InputError where an expression matches no name.
    """
    names = list(names)
    if group_by == NONE:
        return NO_GROUPS
    if group_by == AUTO:
        found = (Groups(_groups(names, pattern), pattern, automatic=True) for pattern in PATTERNS)
        return next((groups for groups in found if _convincing(groups, len(names))), NO_GROUPS)
    groups = Groups(_groups(names, group_by), group_by, automatic=False)
    if names and not groups.of:
        raise InputError(
            f"--group-by is {group_by!r}, which matches no video, such as {names[0]!r}; give a regular expression that "
            "is found in the path below the folder, auto or none."
        )
    return groups


def group_of(name: str, pattern: str) -> str | None:
    """The group of a video by a pattern; None where it does not match."""
    match = re.search(pattern, name)
    if match is None:
        return None
    return (match[1] if match.re.groups and match[1] is not None else match[0]) or None


def _groups(names: list[str], pattern: str) -> dict[str, str]:
    found = ((name, group_of(name, pattern)) for name in names)
    return {name: group for name, group in found if group is not None}


def _convincing(groups: Groups, videos: int) -> bool:
    """Whether names of that form are those of groups rather than mere numbers."""
    sizes = [len(names) for names in groups.members().values()]
    shared = sum(size for size in sizes if size >= 2)
    return len(groups.of) == videos and len(sizes) >= LEAST_GROUPS and 2 * shared > videos

"""When an object is finished: rules that a declaration adds to the names by which unfinished files are known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from retrain.exceptions import DeclarationError
from retrain.records._codec import Record

PLACEHOLDER = "{partition}"
# What uploads, browsers, editors and Hadoop call a file that is not finished yet.
_TEMPORARY = (
    ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".filepart", ".inprogress", ".swp", "._copying_",
    "~",
)  # fmt: skip


@dataclass(frozen=True)
class Completeness(Record):
    """All of these must hold before an object is read.

    `age_seconds`: the store says that it was not modified for so long. `stable_seconds`: size and token stayed the same
    between two listings so far apart; where nothing is remembered of a listing before, the time of modification has to
    be as old. `marker`: a file of this name lies in the object's folder, such as `_SUCCESS` or `{partition}.done`; a
    correction under an old marker is taken as it is, so add an age where files are rewritten in place. `ignore`: names
    of objects to pass over, as shell patterns. Raises DeclarationError naming the field.
    """

    age_seconds: float = 0.0
    stable_seconds: float = 0.0
    marker: str | None = None
    ignore: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("age_seconds", "stable_seconds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise _wrong(name, value, "a number of seconds, 0 or more")
        if self.marker is not None and (not self.marker or "/" in self.marker or self.marker.count("{") > 1):
            raise _wrong("marker", self.marker, f"a file name without '/', optionally with {PLACEHOLDER} in it")
        if self.marker is not None and "{" in self.marker.replace(PLACEHOLDER, ""):
            raise _wrong("marker", self.marker, f"no other placeholder than {PLACEHOLDER}")
        patterns: object = self.ignore
        if not isinstance(patterns, list | tuple) or not all(isinstance(one, str) and one for one in patterns):
            raise _wrong("ignore", self.ignore, "a list of patterns, such as ['*.bak']")

    @classmethod
    def of(cls, rule: "Completeness | Mapping[str, object] | None") -> "Completeness":
        """Take a rule as a declaration holds it."""
        return rule if isinstance(rule, Completeness) else cls.from_dict(rule or {})


class Listed(Protocol):
    """What a listing says of an object."""

    @property
    def uri(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def token(self) -> str: ...  # noqa: D102
    @property
    def modified(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Seen(Record):
    """An object as listings have shown it, unchanged since the time `since` (epoch seconds)."""

    size: int
    token: str
    since: float


def is_complete(
    entry: Listed, rule: Completeness, *, now: float, seen: Seen | None = None, marked: bool = False
) -> bool:
    """Decide whether an object is finished; `marked` says whether its marker is there, `now` is in epoch seconds."""
    unchanged = seen is not None and (seen.size, seen.token) == (entry.size, entry.token)
    since = seen.since if seen is not None and unchanged else None
    # A store that tells no time of modification leaves what the listings show.
    modified = entry.modified if entry.modified is not None else since
    stable = since if seen is not None else modified
    return (
        (rule.marker is None or marked)
        and _past(modified, rule.age_seconds, now)
        and _past(stable, rule.stable_seconds, now)
    )


def remember(before: Mapping[str, Seen], entries: Iterable[Listed], now: float) -> dict[str, Seen]:
    """Return what is to be known of the objects of a listing at the next one, by URI."""
    memory = {}
    for entry in entries:
        old = before.get(entry.uri)
        kept = old is not None and (old.size, old.token) == (entry.size, entry.token)
        memory[entry.uri] = old if old is not None and kept else Seen(entry.size, entry.token, now)
    return memory


def is_finished_name(name: str, ignore: Iterable[str] = ()) -> bool:
    """Say whether a name is neither hidden (`.x`, `_x`) nor that of a temporary file nor one to pass over."""
    hidden = name.startswith((".", "_")) or name.lower().endswith(_TEMPORARY)
    return not hidden and not any(fnmatchcase(name, pattern) for pattern in ignore)


def _past(since: float | None, seconds: float, now: float) -> bool:
    return seconds == 0 or (since is not None and now - since >= seconds)


def _wrong(field: str, value: object, expected: str) -> DeclarationError:
    return DeclarationError(f"complete: {field}={value!r}", expected=expected)

"""Profiles: what stays of a table once it was read. Small, mergeable, plain JSON with a version."""

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from retrain.drift.duplicates import Duplicates
from retrain.drift.sketch import QuantileSketch, merge_all
from retrain.exceptions import ContractError
from retrain.records import decode, encode

FORMAT = "retrain.profile"
VERSION = 1
LEVELS = 1000
SAMPLE_ROWS = 2000
# A string column is text (an identifier, a comment) where hardly any value comes twice.
_TEXT_SHARE = 0.95
_TEXT_ROWS = 50
# The family of a column whose parts were not of one kind: there is nothing that both could be compared as.
MIXED = "mixed"


class Kind(StrEnum):
    """What a column is compared as. `text` has too many levels to compare, `empty` no value to tell its kind by."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"
    EMPTY = "empty"


def looks_like_text(distinct: int, values: int) -> bool:
    """Whether a column of levels has too many of them to be compared level by level."""
    return distinct > LEVELS or (values >= _TEXT_ROWS and distinct >= _TEXT_SHARE * values)


@dataclass(frozen=True)
class ColumnProfile:
    """One column. `family` is the type of its values: number, string, boolean, datetime, empty, or mixed.

    `sketch`, `mean`, `std` (population) describe the finite values of a numeric column; `sketched` is how many rows the
    sketch was made of where these were a sample (0: all). `counts` are the most frequent levels of a categorical column
    and `other` the rows of all the rest; a text column keeps its levels only while they are few. `distinct` is exact
    where `distinct_exact`, else an estimate or a lower bound. `minimum` and `maximum` are numbers, or ISO 8601 text for
    a datetime column. A `private` column keeps no value of the data: only its type, how many values are missing and how
    many differ.
    """

    name: str
    kind: Kind
    family: str
    dtype: str
    rows: int
    nulls: int = 0
    infinite: int = 0
    distinct: int = 0
    distinct_exact: bool = True
    mean: float | None = None
    std: float | None = None
    minimum: float | str | None = None
    maximum: float | str | None = None
    sketch: QuantileSketch = field(default_factory=QuantileSketch)
    counts: Mapping[str, int] = field(default_factory=dict)
    other: int = 0
    private: bool = False
    sketched: int = 0

    @property
    def values(self) -> int:
        """How many rows hold a finite value."""
        return self.rows - self.nulls - self.infinite

    @property
    def evidence_rows(self) -> int:
        """How many rows a test on the sketch may count."""
        return self.sketched or self.values

    def merge(self, other: "ColumnProfile") -> "ColumnProfile":
        """Profile of both parts together; a part with no values takes the other's kind.

        Parts of different kinds become a `text` column of the family `mixed`, which is recorded and not judged: one
        partition with another schema must not stand in the way of all that come after it.
        """
        counts, rest = _merge_counts(self, other)
        kind, family = _common(self, other, counts, rest)
        sketch = merge_all([self.sketch, other.sketch])
        mean, std = _merge_moments(self, other)
        distinct, exact = _merge_distinct(self, other, counts, sketch)
        dated = [part for part in (self, other) if part.minimum is not None and part.maximum is not None]
        if kind is Kind.TEXT and rest:
            counts, rest = {}, self.values + other.values
        same_type = len({type(part.minimum) for part in dated}) == 1
        merged = ColumnProfile(
            name=self.name,
            kind=kind,
            family=family,
            dtype=" | ".join(dict.fromkeys([*self.dtype.split(" | "), *other.dtype.split(" | ")])),
            rows=self.rows + other.rows,
            nulls=self.nulls + other.nulls,
            infinite=self.infinite + other.infinite,
            distinct=distinct,
            distinct_exact=exact,
            mean=mean,
            std=std,
            minimum=min((part.minimum for part in dated), default=None) if same_type else None,  # type: ignore[type-var]
            maximum=max((part.maximum for part in dated), default=None) if same_type else None,  # type: ignore[type-var]
            sketch=sketch if kind is Kind.NUMERIC else QuantileSketch(),
            counts=counts,
            other=rest,
            private=self.private or other.private,
            sketched=_merge_sketched(self, other) if kind is Kind.NUMERIC else 0,
        )
        return merged._without_values() if merged.private or family == MIXED else merged

    def _without_values(self) -> "ColumnProfile":
        """Keep nothing that only one of the parts could or may tell."""
        return dataclasses.replace(
            self,
            distinct_exact=self.distinct_exact and self.family != MIXED,
            mean=None,
            std=None,
            minimum=None,
            maximum=None,
            sketch=QuantileSketch(),
            sketched=0,
            counts={},
            other=0 if self.private else self.values,
        )


@dataclass(frozen=True)
class Profile:
    """A table's columns, and a random sample of at most `SAMPLE_ROWS` of its rows to draw from.

    `absent` names columns that were asked for and are not there. The sample holds plain JSON values (datetimes as
    text) and no private column. `duplicates` counts rows that repeat another in all of the profiled columns.
    """

    rows: int
    columns: Mapping[str, ColumnProfile]
    sample: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    target: str | None = None
    prediction: str | None = None
    categorical: tuple[str, ...] = ()
    pii: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    duplicates: Duplicates | None = None

    def role(self, column: str) -> str:
        """Return `label`, `prediction` or `feature`: which kind of drift a drift of this column is."""
        return {self.target: "label", self.prediction: "prediction"}.get(column, "feature")

    def select(self, columns: Sequence[str]) -> "Profile":
        """Return the profile of some of the columns and of the target; those that are not there become `absent`."""
        wanted = [*columns, *(name for name in (self.target, self.prediction) if name and name not in columns)]
        return dataclasses.replace(
            self,
            columns={name: self.columns[name] for name in wanted if name in self.columns},
            sample={name: self.sample[name] for name in wanted if name in self.sample},
            absent=tuple(name for name in columns if name not in self.columns),
        )

    def merge(self, other: "Profile") -> "Profile":
        """Profile of both tables together, as if their rows lay in one.

        A column that only one of them has counts as missing in all rows of the other; one that is private in either is
        private.
        """
        names = [*self.columns, *(name for name in other.columns if name not in self.columns)]
        columns = {
            name: _column_or_nulls(self, name, other).merge(_column_or_nulls(other, name, self)) for name in names
        }
        return Profile(
            rows=self.rows + other.rows,
            columns=columns,
            sample={name: values for name, values in _merge_samples(self, other).items() if _is_open(columns[name])},
            target=self.target or other.target,
            prediction=self.prediction or other.prediction,
            categorical=tuple(dict.fromkeys(self.categorical + other.categorical)),
            pii=tuple(dict.fromkeys(self.pii + other.pii)),
            absent=tuple(name for name in self.absent if name in other.absent),
            duplicates=_merge_duplicates(self, other),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, marked with format and version; `pairs` sums up which columns go together."""
        from retrain.drift.pairs import strongest_pairs

        fields = {f.name: encode(getattr(self, f.name)) for f in dataclasses.fields(self)}
        pairs = [dataclasses.asdict(pair) for pair in strongest_pairs(self)]
        return {"format": FORMAT, "version": VERSION, **fields, "pairs": pairs}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Profile":
        """Rebuild from `to_dict`; ContractError when it is not a profile of a version that is known."""
        if not isinstance(document, Mapping) or document.get("format") != FORMAT:
            raise ContractError("the document is not a profile", expected=f'"format": "{FORMAT}"')
        if document.get("version") != VERSION:
            raise ContractError(
                f"the profile has version {document.get('version')!r}",
                expected=f"version {VERSION}",
                remedy="profile the data again with this version of retrain",
            )
        fields = {name: item for name, item in document.items() if name not in ("format", "version", "pairs")}
        sample = {name: tuple(values) for name, values in fields.pop("sample", {}).items()}
        columns = {name: _decode_column(item) for name, item in fields.pop("columns", {}).items()}
        rest = decode(Profile, {**fields, "columns": {}})
        return dataclasses.replace(rest, columns=columns, sample=sample)


def _decode_column(document: Mapping[str, Any]) -> ColumnProfile:
    # The sketch is thousands of numbers: taken over whole, since `decode` would look at each of them.
    fields = dict(document)
    sketch = fields.pop("sketch", {})
    parts = {name: tuple(sketch.get(name, ())) for name in ("values", "at", "below")}
    if len({len(part) for part in parts.values()}) != 1:
        raise ContractError(f"the sketch of {fields.get('name')!r} has parts of different lengths")
    ends = {name: fields.pop(name, None) for name in ("minimum", "maximum")}
    column = decode(ColumnProfile, fields)
    return dataclasses.replace(column, sketch=QuantileSketch(**parts), **ends)


def _column_or_nulls(profile: Profile, name: str, other: Profile) -> ColumnProfile:
    if name in profile.columns:
        return profile.columns[name]
    return ColumnProfile(name, Kind.EMPTY, "empty", other.columns[name].dtype, rows=profile.rows, nulls=profile.rows)


def _common(a: ColumnProfile, b: ColumnProfile, counts: Mapping[str, int], rest: int) -> tuple[Kind, str]:
    for one, two in ((a, b), (b, a)):
        if one.values == 0:
            return two.kind, two.family
    if a.family == b.family and Kind.TEXT in (a.kind, b.kind):
        # A small part may have looked like text only because it was small.
        text = bool(rest) or not counts or looks_like_text(len(counts), a.values + b.values)
        return (Kind.TEXT if text else Kind.CATEGORICAL), a.family
    if a.kind is b.kind and a.family == b.family:
        return a.kind, a.family
    return Kind.TEXT, MIXED


def _merge_counts(a: ColumnProfile, b: ColumnProfile) -> tuple[dict[str, int], int]:
    counts = Counter(a.counts)
    counts.update(b.counts)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept, dropped = ranked[:LEVELS], ranked[LEVELS:]
    return dict(kept), a.other + b.other + sum(count for _, count in dropped)


def _merge_sketched(a: ColumnProfile, b: ColumnProfile) -> int:
    """Rows of a simple random sample with the variance of both samples, weighted by the rows behind them."""
    if not (a.sketched or b.sketched):
        return 0
    parts = [part for part in (a, b) if part.values]
    variance = sum(part.values**2 / part.evidence_rows for part in parts)
    return int(sum(part.values for part in parts) ** 2 / variance)


def _merge_moments(a: ColumnProfile, b: ColumnProfile) -> tuple[float | None, float | None]:
    if a.mean is None or b.mean is None or a.std is None or b.std is None:
        one = a if b.mean is None else b
        return one.mean, one.std
    total = a.values + b.values
    gap = b.mean - a.mean
    mean = a.mean + gap * b.values / total
    variance = (a.values * a.std**2 + b.values * b.std**2 + gap**2 * a.values * b.values / total) / total
    return mean, math.sqrt(variance)


def _merge_distinct(
    a: ColumnProfile, b: ColumnProfile, counts: Mapping[str, int], sketch: QuantileSketch
) -> tuple[int, bool]:
    if a.values == 0 or b.values == 0:
        one = a if b.values == 0 else b
        return one.distinct, one.distinct_exact
    known = len(counts) or len(sketch.values)
    complete = bool(known) and not (a.other or b.other) and sketch.exact and len(counts) < LEVELS
    return (known, True) if complete and not (a.private or b.private) else (max(a.distinct, b.distinct, known), False)


def _merge_samples(a: Profile, b: Profile) -> dict[str, tuple[Any, ...]]:
    """Draw from both samples in proportion to the rows behind them."""
    names = [name for name in a.sample if name in b.sample]
    if not (a.rows and b.rows):
        return dict(a.sample if a.rows else b.sample)
    size_a, size_b = _size(a), _size(b)
    generator = random.Random(f"{a.rows}:{b.rows}")
    size = min(max(size_a, size_b), SAMPLE_ROWS)
    size = size if size_a + size_b > SAMPLE_ROWS else size_a + size_b
    from_a = min(size_a, max(size - size_b, round(size * a.rows / (a.rows + b.rows))))
    rows_a = generator.sample(range(size_a), from_a)
    rows_b = generator.sample(range(size_b), min(size_b, size - from_a))
    return {
        name: tuple([a.sample[name][row] for row in rows_a] + [b.sample[name][row] for row in rows_b]) for name in names
    }


def _merge_duplicates(a: Profile, b: Profile) -> Duplicates | None:
    if not (a.rows and b.rows):
        return a.duplicates if a.rows else b.duplicates
    return a.duplicates.merge(b.duplicates) if a.duplicates and b.duplicates else None


def _is_open(column: ColumnProfile) -> bool:
    return not column.private and column.family != MIXED


def _size(profile: Profile) -> int:
    return max((len(values) for values in profile.sample.values()), default=0)

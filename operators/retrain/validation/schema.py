"""Schema skew: columns that are missing, new, renamed or of another type than in a reference.

Apart from value skew, as Breck et al. ("Data Validation for Machine Learning", 2019) keep it: training code that meets
another schema breaks or learns something else, so schema skew always stops, whatever the severities in a suite.
"""

import re
from collections.abc import Callable, Mapping

from retrain.records import ExpectationFailure, Severity

SCHEMA_MISSING, SCHEMA_EXTRA, SCHEMA_RETYPED = "schema_missing", "schema_extra", "schema_retyped"

# Arrow types that stand for one another between two deliveries of a feed, by the beginning of their names. A column of
# integers with its first null comes as floats, and a float column that happens to be whole as integers; writers choose
# the width, the unit of time and whether text is stored as a dictionary.
_KINDS = (
    ("number", ("int", "uint", "half", "float", "double")),
    ("decimal", ("decimal",)),
    ("boolean", ("bool",)),
    ("text", ("string", "large_string", "string_view")),
    ("bytes", ("binary", "large_binary", "binary_view", "fixed_size_binary")),
    ("date", ("date32", "date64")),
    ("time of day", ("time32", "time64")),
    ("length of time", ("duration",)),
)
_DICTIONARY = re.compile(r"dictionary<values=(?P<values>.*), indices=\w+, ordered=\d>")
_NO_VALUE = "null"
# A verdict travels through XCom: what is beyond this is counted.
_MOST_NAMED = 20


def skew(
    expected: Mapping[str, str], found: Mapping[str, str], is_blank: Callable[[str], bool]
) -> tuple[ExpectationFailure, ...]:
    """Compare two schemas (column to Arrow type name); every difference is a critical failure.

    The order of columns is no difference, nor is another type of the same kind (see `kind_of`). A column without any
    value, which `is_blank` tells, is of every type: whether it may be blank is another check's business.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    retyped = [
        name
        for name, wanted in expected.items()
        if name in found and not _same_kind(wanted, found[name]) and not is_blank(name)
    ]
    gone = {name: _missing(name, expected, found, missing, extra) for name in missing[:_MOST_NAMED]}
    new = {name: _extra(name, expected, found, missing, extra) for name in extra[:_MOST_NAMED]}
    other = {name: _retyped(expected[name], found[name]) for name in retyped[:_MOST_NAMED]}
    return (
        *_failures(SCHEMA_MISSING, gone, len(missing)),
        *_failures(SCHEMA_EXTRA, new, len(extra)),
        *_failures(SCHEMA_RETYPED, other, len(retyped)),
    )


def kind_of(arrow: str) -> str:
    """Return what kind of values an Arrow type name stands for; types of one kind are not told apart.

    Integers and floats of every width are one kind, text is text also as a dictionary, times are one kind in every unit
    and zone (but with a zone they are another than without). Decimals, dates and nested types stand for themselves.
    """
    if match := _DICTIONARY.fullmatch(arrow):
        return kind_of(match["values"])
    if arrow.startswith("timestamp"):
        return "times with a zone" if "tz=" in arrow else "times"
    return next((kind for kind, names in _KINDS if arrow.startswith(names)), arrow)


def _same_kind(one: str, other: str) -> bool:
    return _NO_VALUE in (one, other) or kind_of(one) == kind_of(other)


def _missing(
    name: str, expected: Mapping[str, str], found: Mapping[str, str], missing: list[str], extra: list[str]
) -> str:
    twins = _twins(name, expected, found, missing, extra)
    return "the column is missing" + (f"; {twins[1]!r} is new and of the same type: renamed?" if twins else "")


def _extra(
    name: str, expected: Mapping[str, str], found: Mapping[str, str], missing: list[str], extra: list[str]
) -> str:
    twins = _twins(name, expected, found, missing, extra)
    was = f"; {twins[0]!r} is missing and of the same type: renamed?" if twins else ""
    return f"the column ({found[name]}) was not there before{was}"


def _twins(
    name: str, expected: Mapping[str, str], found: Mapping[str, str], missing: list[str], extra: list[str]
) -> tuple[str, str] | None:
    """Return the missing and the new column that may be the same one: there is one of each of this kind."""
    kind = kind_of(expected[name] if name in missing else found[name])
    gone = [one for one in missing if kind_of(expected[one]) == kind]
    new = [one for one in extra if kind_of(found[one]) == kind]
    return (gone[0], new[0]) if len(gone) == len(new) == 1 else None


def _retyped(wanted: str, found: str) -> str:
    return f"the column holds {kind_of(found)} ({found}), before {kind_of(wanted)} ({wanted})"


def _failures(check: str, reasons: Mapping[str, str], count: int) -> list[ExpectationFailure]:
    failures = [ExpectationFailure(check, name, Severity.CRITICAL, reason=why) for name, why in reasons.items()]
    if count > len(reasons):
        more = f"{count - len(reasons):,} more columns, {count:,} in all"
        failures.append(ExpectationFailure(check, None, Severity.CRITICAL, reason=more))
    return failures

"""A CSV too large for pandas as a Parquet file, with the types that pandas gives a small one."""

import os
from typing import Any

# What pandas takes for a missing value, so that a large file reads like a small one.
_NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "n/a", "#N/A", "<NA>", "-NaN", "-nan", "1.#QNAN")
# Dates stay text, as they do in a small file that pandas reads; flags are found below.
_CANDIDATES = "['BIGINT', 'DOUBLE', 'VARCHAR']"
# What pandas takes for flags and numbers, in this order. DuckDB leaves 00123 text, and takes yes and no for flags.
_TYPES = {
    "BOOLEAN": "True|TRUE|true|False|FALSE|false",
    "BIGINT": "[+-]?[0-9]{1,18}",
    "DOUBLE": "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?",
}


def as_parquet(connection: Any, path: str, folder: str) -> str:
    """Parse a CSV into a Parquet file in `folder`, and return its path."""
    made = os.path.join(folder, "table.parquet")
    nulls = ", ".join(map(text, _NULLS))
    read = f"read_csv({text(path)}, header=true, delim=',', nullstr=[{nulls}], auto_type_candidates={_CANDIDATES})"
    connection.execute(f"COPY (SELECT * FROM {read}) TO {text(made)} (FORMAT parquet)")  # noqa: S608
    casts = _casts(connection, f"read_parquet({text(made)})")
    if not casts:
        return made
    typed = os.path.join(folder, "typed.parquet")
    query = f"SELECT * REPLACE ({', '.join(casts)}) FROM read_parquet({text(made)})"  # noqa: S608
    connection.execute(f"COPY ({query}) TO {text(typed)} (FORMAT parquet)")
    return typed


def _casts(connection: Any, relation: str) -> list[str]:
    """Return what makes flags and numbers of the columns whose every text is one."""
    described = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()  # noqa: S608
    casts = []
    for name in (quoted(str(row[0])) for row in described if str(row[1]) == "VARCHAR"):
        unlike = [f"count({name}) FILTER (NOT regexp_full_match({name}, {text(one)}))" for one in _TYPES.values()]
        there, *others = connection.execute(f"SELECT count({name}), {', '.join(unlike)} FROM {relation}").fetchone()  # noqa: S608
        kinds = [kind for kind, rows in zip(_TYPES, others, strict=True) if there and not rows]
        casts += [f"CAST({name} AS {kind}) AS {name}" for kind in kinds[:1]]
    return casts


def quoted(name: str) -> str:
    """Return a name as SQL takes it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a text as SQL takes it."""
    return "'" + value.replace("'", "''") + "'"

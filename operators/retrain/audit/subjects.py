"""Looking for the rows of one subject, by their key, in the kept copies of accepted data. Never shows a value."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrain.audit.affected import Hit, Holds
from retrain.exceptions import ContractError, MissingColumnError, RetrainError
from retrain.records import DataRef

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 100_000


@dataclass(frozen=True)
class Subject:
    """The key of a row: text by column. All columns have to fit in one row.

    A value is compared as a value of the column's type (`7` with 7 and 7.0, `2024-05-01` with a date), text exactly.
    """

    values: Mapping[str, str]

    @classmethod
    def parse(cls, pairs: Iterable[str]) -> "Subject":
        """Read `column=value` pairs; ContractError for what is none, and for a column that is named twice."""
        values: dict[str, str] = {}
        for pair in pairs:
            name, equals, value = pair.partition("=")
            if not equals or not name or name in values:
                # The value is a person's: it goes into no message.
                raise ContractError(
                    f"the key {name!r} is no column=value, or is given twice", expected="such as id=123"
                )
            values[name] = value
        return cls(values)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the key."""
        return tuple(self.values)

    def search(self, refs: Iterable[DataRef]) -> Holds:
        """Look through every object once, a part at a time; an object that cannot be read is not passed over.

        Raises MissingColumnError when no object has the columns, ContractError when the values fit no object's types.
        """
        found: dict[str, int | str] = {}
        misfits: list[str] = []
        readable = 0
        for ref in refs:
            if (name := _identity(ref)) in found:
                continue
            try:
                found[name] = self._count(ref)
                readable += 1
            except _NotOfThisTypeError as error:
                misfits.append(str(error))
                found[name] = 0
            except RetrainError as error:
                found[name] = f"{ref.key}: {error}"
        self._check(found, misfits, readable)

        def holds(key: str, ref: DataRef) -> Hit | str | None:
            count = found[_identity(ref)]
            if isinstance(count, str):
                return count
            return Hit(key, count) if count else None

        return holds

    def _check(self, found: Mapping[str, Any], misfits: list[str], readable: int) -> None:
        if misfits and not readable:
            raise ContractError(
                f"the values given are none of their columns: {misfits[0]}", expected="values of that type"
            )
        lacking = [said for said in found.values() if isinstance(said, str) and _LACKS in said]
        if found and len(lacking) == len(found):
            raise MissingColumnError(
                f"no data of this model has the columns {list(self.columns)}: {lacking[0]}",
                expected="columns of the accepted data",
            )

    def _count(self, ref: DataRef) -> int:
        import pyarrow.compute as pc

        count = 0
        for table in _tables(ref, self.columns):
            fits = None
            for name, value in self.values.items():
                column = table.column(name)
                same = pc.fill_null(pc.equal(column, _scalar(value, column.type, name)), False)
                fits = same if fits is None else pc.and_(fits, same)
            count += pc.sum(fits).as_py() or 0
        return count


_LACKS = "has no column"


class _NotOfThisTypeError(Exception):
    """A value that a column's type cannot hold."""


def _identity(ref: DataRef) -> str:
    return ref.digest or ref.uri


def _scalar(text: str, kind: "pa.DataType", name: str) -> "pa.Scalar":
    import pyarrow as pa

    wanted = kind.value_type if pa.types.is_dictionary(kind) else kind
    try:
        if pa.types.is_boolean(wanted):
            return pa.scalar({"true": True, "false": False, "1": True, "0": False}[text.lower()])
        return pa.scalar(text).cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, KeyError):
        raise _NotOfThisTypeError(f"{name} is {wanted}") from None


def _tables(ref: DataRef, columns: tuple[str, ...]) -> Iterator["pa.Table"]:
    """Read the columns of the key, a part at a time, the object's digest proven before."""
    import pyarrow as pa

    from retrain.data.readers import format_of
    from retrain.data.streaming import csv_batches, open_parquet

    if ref.schema and (missing := [name for name in columns if name not in ref.schema]):
        raise MissingColumnError(
            f"{ref.key} {_LACKS} {', '.join(map(repr, missing))}", expected="the columns of the key"
        )
    if format_of(ref) == "csv":
        for frame in csv_batches(ref, columns=list(columns), rows=_ROWS):
            yield pa.Table.from_pandas(frame, preserve_index=False)
        return
    with open_parquet(ref) as file:
        if missing := [name for name in columns if name not in file.schema_arrow.names]:
            raise MissingColumnError(
                f"{ref.key} {_LACKS} {', '.join(map(repr, missing))}", expected="the columns of the key"
            )
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(columns)):
            yield pa.Table.from_batches([batch])

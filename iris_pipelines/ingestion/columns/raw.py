"""A field of a whole batch as one Arrow column, as it came, before any rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from iris_pipelines.domain.events import KNOWN_FIELDS, OBJECT_FIELDS
from iris_pipelines.ingestion.columns.json_lines import fields_of_lines
from iris_pipelines.ingestion.columns.schema import SCHEMA
from iris_pipelines.ingestion.columns.values import ARROW_TYPES, Column, Mask, most_common_type
from iris_pipelines.ingestion.records import ColumnBatch, EventBatch, LineBatch, ObjectBatch

# The stubs know each function for each type of array; here any column goes through them.
pc: Any = pyarrow.compute
_SCALAR_FIELDS = tuple(name for name in SCHEMA.names if name not in OBJECT_FIELDS)
# So many records show what type a field has in this source; one of another type is found when it comes.
_SAMPLE = 100


class RawColumns:
    """The fields of a batch. `sure` marks the records of which nothing is known yet that the law should decide."""

    def __init__(self, batch: EventBatch) -> None:
        self.sure: Mask = np.ones(len(batch), dtype=bool)
        if isinstance(batch, LineBatch):
            self._columns, self.sure = fields_of_lines(batch.lines)
        elif isinstance(batch, ObjectBatch):
            self._columns = self._of_objects(batch)
        else:
            self._columns = self._of_columns(batch)

    def __len__(self) -> int:
        return len(self.sure)

    def column(self, name: str) -> Column:
        """A field as text, numbers, booleans, times or bytes; null where it is missing or not like the others.

        A field that holds JSON objects is a list of Python values, a column of text, or one of JSON texts in bytes.
        """
        found = self._columns.get(name)
        return pa.nulls(len(self)) if found is None else found

    def _of_columns(self, batch: ColumnBatch) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for name, column in zip(batch.columns.schema.names, batch.columns.columns, strict=True):
            if name in KNOWN_FIELDS:
                columns[name] = simplified(column)
            else:
                self.sure &= np.asarray(column.is_null())
        for name in OBJECT_FIELDS:
            if name in columns and not pa.types.is_string(columns[name].type):
                columns[name] = columns[name].to_pylist()
        return columns

    def _of_objects(self, batch: ObjectBatch) -> dict[str, Column]:
        objects: Sequence[Any] = batch.records
        if set(map(type, objects)) != {dict}:
            objects = [each if type(each) is dict else {} for each in objects]
        self.sure &= np.fromiter(map(KNOWN_FIELDS.issuperset, objects), bool, len(objects))
        columns = self._all_at_once(objects) or self._one_by_one(objects)
        for name in OBJECT_FIELDS:
            columns[name] = [each.get(name) for each in objects]
        return columns

    def _all_at_once(self, objects: Sequence[Any]) -> dict[str, Column] | None:
        """Every field as Arrow takes them out of the objects; None if a field has values of different types."""
        fields = [(name, _type_in(objects[:_SAMPLE], name)) for name in _SCALAR_FIELDS]
        try:
            struct: Any = pa.array(objects, pa.struct(fields))
        except (pa.ArrowException, OverflowError, ValueError, TypeError):
            return None
        columns = {name: struct.field(position) for position, (name, _) in enumerate(fields)}
        for name, kind in fields:
            if kind == pa.float64():
                self._doubt_booleans(name, columns[name], objects)
        return columns

    def _one_by_one(self, objects: Sequence[Any]) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for name in _SCALAR_FIELDS:
            columns[name], sure = most_common_type([each.get(name) for each in objects])
            self.sure &= sure
        return columns

    def _doubt_booleans(self, name: str, column: Column, objects: Sequence[Any]) -> None:
        """Arrow takes true among numbers for 1 and false for 0."""
        zero_or_one = pc.fill_null(pc.or_(pc.equal(column, 0), pc.equal(column, 1)), False)
        for position in np.flatnonzero(np.asarray(zero_or_one)).tolist():
            if type(objects[position][name]) is bool:
                self.sure[position] = False


def _type_in(sample: Sequence[Any], name: str) -> pa.DataType:
    values = (each.get(name) for each in sample)
    first = next((value for value in values if value is not None), "")
    return ARROW_TYPES.get(type(first), pa.string())


def simplified(column: Column) -> Column:
    """A column in the plainest type that holds its values: no dictionaries, views, extensions or odd units."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return simplified(column.storage)
    if pa.types.is_dictionary(kind):
        return simplified(column.dictionary_decode())
    if pa.types.is_timestamp(kind):
        return _in_microseconds(column)
    for is_kind, plain in _PLAINER:
        if is_kind(kind):
            return column.cast(plain)
    return column


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_large_string(kind) or kind == pa.string_view()


def _is_small_number(kind: pa.DataType) -> bool:
    small_integer = pa.types.is_integer(kind) and kind.bit_width < 64
    return small_integer or kind in (pa.float16(), pa.float32())


_PLAINER = ((_is_text, pa.string()), (_is_small_number, pa.float64()))


def _in_microseconds(column: Column) -> Column:
    """Times with a zone in microseconds, cut off towards the past as a longer fraction is in text."""
    kind = column.type
    if kind.tz is None or kind.unit == "us":
        return column
    if kind.unit == "ns":
        column = pc.floor_temporal(column, unit="microsecond")
    try:
        return column.cast(pa.timestamp("us", tz=kind.tz))
    except pa.ArrowInvalid:
        return column

"""The values of a statement: each is bound, and cast to the type that we say."""

from __future__ import annotations

from typing import LiteralString

from psycopg.sql import SQL, Composable, Placeholder

_CASTS: dict[str, LiteralString] = {
    "uuid": "{}::uuid",
    "uuid[]": "{}::uuid[]",
    "text": "{}::text",
    "text[]": "{}::text[]",
    "numeric": "{}::numeric",
    "numeric[]": "{}::numeric[]",
    "bigint": "{}::bigint",
    "integer[]": "{}::integer[]",
    "date[]": "{}::date[]",
    "timestamptz": "{}::timestamptz",
    "timestamptz[]": "{}::timestamptz[]",
}


class Parameters:
    """Values by generated names; one that is added again keeps its name."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._names: dict[tuple[str, str], str] = {}

    def add(self, value: object, kind: str) -> Composable:
        """A placeholder for a value."""
        key = (kind, repr(value))
        name = self._names.setdefault(key, f"p{len(self._names)}")
        self.values[name] = value
        return SQL(_CASTS[kind]).format(Placeholder(name))

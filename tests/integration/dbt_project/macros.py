"""The project's dbt macros without dbt: those that only write SQL need nothing but Jinja."""

from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from jinja2 import Environment, StrictUndefined
from jinja2.runtime import Macro

MACROS = Path(__file__).parents[3] / "dbt_project" / "macros"


class _Return(Exception):
    """dbt's `return` ends a macro with a value that need not be text."""


def _return(value: object) -> NoReturn:
    raise _Return(value)


def rendered(call: str, *files: str) -> str:
    """The SQL of one call of a macro that is defined in these files."""
    definitions = "".join((MACROS / file).read_text(encoding="utf-8") for file in files)
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL, not HTML
    template = environment.from_string(definitions + "{{ " + call + " }}", globals={"return": _return})
    invoke = Macro._invoke

    def invoke_until_return(macro: Macro, *arguments: Any) -> Any:
        try:
            return invoke(macro, *arguments)
        except _Return as returned:
            return returned.args[0]

    with mock.patch.object(Macro, "_invoke", invoke_until_return):
        return template.render().strip()

"""The project's dbt macros without dbt: those that only write SQL need nothing but Jinja."""

from pathlib import Path

from jinja2 import Environment, StrictUndefined

MACROS = Path(__file__).parents[3] / "dbt_project" / "macros"


def rendered(call: str, *files: str) -> str:
    """The SQL of one call of a macro that is defined in these files."""
    definitions = "".join((MACROS / file).read_text(encoding="utf-8") for file in files)
    template = Environment(undefined=StrictUndefined, autoescape=False).from_string(  # noqa: S701 - SQL, not HTML
        definitions + "{{ " + call + " }}"
    )
    return template.render().strip()

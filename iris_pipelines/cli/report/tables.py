"""Rows on a terminal, or on a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from iris_pipelines.cli.console import print_json, stdout


def print_rows(rows: list[dict[str, object]], *, as_json: bool, nothing: str) -> None:
    """Rows with the same names; a sentence if there are none."""
    if as_json:
        print_json(rows)
    elif not rows:
        stdout.print(nothing)
    else:
        names = list(rows[0])
        values = [
            [", ".join(map(str, each)) if isinstance(each, list) else each for each in row.values()] for row in rows
        ]
        print_table(names, [False] * len(names), values)


def print_table(titles: Sequence[str], are_numbers: Sequence[bool], rows: Iterable[Sequence[object]]) -> None:
    """A table; numbers stand to the right."""

    from iris_pipelines.reporting.renderers.safe_text import readable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, is_number in zip(titles, are_numbers, strict=True):
        table.add_column(Text(name), justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else readable(str(cell))) for cell in row))
    # Where nobody looks there is no width to keep to, and a broken line is of no use to a program.
    widest = Measurement.get(stdout, stdout.options.update(max_width=5_000), table).maximum
    console = stdout if stdout.is_terminal else Console(width=max(widest, 1), highlight=False)
    console.print(table)

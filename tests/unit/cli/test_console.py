from __future__ import annotations

import pytest

from iris_pipelines.cli.console import print_error, stdout

ODD = "/data/[/x]/[red]a.ndjson :smile:"


def test_names_and_values_are_printed_to_the_letter(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(f"{ODD}: cannot be read")
    stdout.print(ODD)
    assert capsys.readouterr() == (f"{ODD}\n", f"error: {ODD}: cannot be read\n")

"""`iris bench`: the benchmarks of the checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import typer

from iris_pipelines.cli.console import fail

_CHECKOUT = Path(__file__).parents[2]


def bench(context: typer.Context) -> None:
    """Measure, as ratios against a baseline of the same run, on an embedded server of its own."""
    if not (_CHECKOUT / "tests" / "benchmarks").is_dir():
        fail("the benchmarks are part of the checkout, and this is not one")
    done = subprocess.run([sys.executable, "-m", "tests.benchmarks", *context.args], cwd=_CHECKOUT, check=False)
    raise typer.Exit(done.returncode)

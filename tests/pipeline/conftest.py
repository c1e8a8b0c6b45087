"""The pipeline under test: a fresh database, the dbt project parsed once a session, and a clock that stands still."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.defs.rebuilds import Rebuild, rebuild_everything_stale
from iris_pipelines.domain.windows import Window


@dataclass
class Pipeline:
    """Brings the graph up to date as the daemon does, without the daemon."""

    database: Database
    dbt: DbtProject

    def refresh(self, *, now: datetime) -> list[Rebuild]:
        """Rebuild what is stale."""
        done = list(rebuild_everything_stale(self.database, self.dbt, now=now))
        for each in done:
            each.build.raise_failures()
        return done

    def rebuilt(self, rebuilds: Sequence[Rebuild], relation: str) -> set[Window]:
        """The windows that rebuilds replaced in a relation."""
        with self.database.transaction() as connection:
            rows = connection.execute(
                "select window_start, window_end from iris.rebuilt_windows"
                " where relation = %s and rebuild_id = any(%s)",
                (relation, [each.rebuild_id for each in rebuilds]),
            ).fetchall()
        return {Window(start, end) for start, end in rows}


@pytest.fixture(scope="session")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    return DbtProject(tmp_path_factory.mktemp("dbt"), database="iris_test")


@pytest.fixture
def pipeline(database: Database, dbt: DbtProject) -> Pipeline:
    return Pipeline(database, dbt)

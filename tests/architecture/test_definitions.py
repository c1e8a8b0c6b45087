"""The code location as the server loads it: in a fresh interpreter, complete and labelled."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from iris_pipelines.defs import build_defs
from iris_pipelines.defs.column_lineage import FILE, as_text, trace_column_lineage
from iris_pipelines.defs.dbt import DbtProject
from iris_pipelines.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    return build_defs(Settings(home=tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def assets(definitions: dg.Definitions) -> Iterator[list[dg.AssetSpec]]:
    yield list(definitions.resolve_all_asset_specs())


def test_the_location_loads_in_a_fresh_interpreter_and_connects_to_nothing(tmp_path: Path) -> None:
    program = "from iris_pipelines.definitions import defs; print(len(list(defs.resolve_all_asset_keys())))"
    environment = {"IRIS_HOME": str(tmp_path), "IRIS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) >= 3


def test_every_asset_says_where_its_rows_are_and_who_keeps_it(assets: list[dg.AssetSpec]) -> None:
    lacking = [
        spec.key.to_user_string()
        for spec in assets
        if not (len(spec.key.path) == 2 and spec.group_name and spec.description and spec.owners and spec.kinds)
    ]
    assert lacking == []


def test_every_schedule_and_sensor_states_its_status(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    running = {
        each.name for each in repository.schedule_defs if each.default_status is dg.DefaultScheduleStatus.RUNNING
    }
    running |= {each.name for each in repository.sensor_defs if each.default_status is dg.DefaultSensorStatus.RUNNING}
    assert running == {each.name for each in [*repository.schedule_defs, *repository.sensor_defs]}


def test_names_follow_the_rules(definitions: dg.Definitions) -> None:
    repository = definitions.get_repository_def()
    own_jobs = [name for name in repository.job_names if not name.startswith("__")]
    assert [name for name in own_jobs if not name.endswith("_job")] == []
    assert [each.name for each in repository.schedule_defs if not each.name.endswith("_schedule")] == []
    assert [each.name for each in repository.sensor_defs if not each.name.endswith("_sensor")] == []


def test_the_reviewed_list_of_assets_schedules_and_sensors_is_current(
    definitions: dg.Definitions, assets: list[dg.AssetSpec]
) -> None:
    repository = definitions.get_repository_def()
    lines = [
        *sorted(f"asset {spec.key.to_user_string()} [{spec.group_name}]" for spec in assets),
        *sorted(f"check {key.to_user_string()}" for key in repository.asset_graph.asset_check_keys),
        *sorted(f"job {name}" for name in repository.job_names if not name.startswith("__")),
        *sorted(f"schedule {each.name} at {each.cron_schedule}" for each in repository.schedule_defs),
        *sorted(f"sensor {each.name} every {each.minimum_interval_seconds} s" for each in repository.sensor_defs),
    ]
    snapshot = Path(__file__).with_name("definitions.txt")
    assert "\n".join(lines) + "\n" == snapshot.read_text(), f"review the change, then write it to {snapshot.name}"


def test_columns_say_what_they_come_from(assets: list[dg.AssetSpec], tmp_path_factory: pytest.TempPathFactory) -> None:
    traced = trace_column_lineage(DbtProject(tmp_path_factory.mktemp("lineage")))
    assert as_text(traced) == FILE.read_text(), "make docs writes it anew"

    by_key = {spec.key: spec for spec in assets}
    for spec in assets:
        if "dbt" not in spec.kinds:
            continue
        columns = [column.name for column in spec.metadata["dagster/column_schema"].columns]
        deps = spec.metadata["dagster/column_lineage"].deps_by_column
        assert list(deps) == columns, spec.key
        assert {dep.asset_key for found in deps.values() for dep in found} <= {dep.asset_key for dep in spec.deps}
        for dep in (dep for found in deps.values() for dep in found):
            schema = by_key[dep.asset_key].metadata.get("dagster/column_schema")
            assert schema is None or dep.column_name in [column.name for column in schema.columns], (spec.key, dep)
    sent = by_key[dg.AssetKey(["analytics", "campaign_performance"])].metadata["dagster/column_lineage"]
    activity = dg.AssetKey(["analytics_intermediate", "int_message_activity_daily"])
    assert list(sent.deps_by_column["total_sent"]) == [dg.TableColumnDep(activity, "sent")]


def test_models_show_their_columns_layer_and_file_and_how_fresh_they_have_to_be(assets: list[dg.AssetSpec]) -> None:
    models = [spec for spec in assets if "dbt" in spec.kinds]
    assert models
    for spec in models:
        assert spec.tags["iris/layer"] in ("staging", "intermediate", "marts"), spec.key
        assert all(column.description for column in spec.metadata["dagster/column_schema"].columns), spec.key
        (file,) = spec.metadata["dagster/code_references"].code_references
        assert Path(file.file_path).name == f"{spec.key.path[-1]}.sql", spec.key
        assert Path(file.file_path).exists(), spec.key
        is_built_by_time = not {"hourly", "daily", "as_of"}.isdisjoint(spec.tags)
        assert (spec.freshness_policy is not None) == is_built_by_time, spec.key

"""The dbt project keeps its layers: staging is the only door to sources, and marts promise what they hold."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from iris_pipelines.defs.dbt import DbtProject

Node = Mapping[str, Any]
_NAMES = {"staging": "stg_", "intermediate": "int_"}
_SCHEMAS = {"staging": "analytics_staging", "intermediate": "analytics_intermediate", "marts": "analytics"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Node:
    return DbtProject(tmp_path_factory.mktemp("dbt")).manifest()


@pytest.fixture(scope="module")
def models(manifest: Node) -> list[Node]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(model: Node) -> str:
    return str(model["fqn"][1])


def is_windowed(model: Node) -> bool:
    return bool(model["config"]["materialized"] == "windowed")


def names(models: list[Node]) -> list[str]:
    return [model["name"] for model in models]


def test_names_and_schemas_say_the_layer(models: list[Node]) -> None:
    assert {layer(model) for model in models} <= _SCHEMAS.keys()
    assert names([m for m in models if m["schema"] != _SCHEMAS[layer(m)]]) == []
    prefixes = tuple(_NAMES.values())
    wrong = [
        m
        for m in models
        if not m["name"].startswith(_NAMES.get(layer(m), ""))
        or (layer(m) == "marts" and m["name"].startswith(prefixes))
    ]
    assert names(wrong) == []


def test_staging_is_one_view_a_source_and_the_only_door_to_it(models: list[Node]) -> None:
    for model in models:
        parents = model["depends_on"]["nodes"]
        sources = [parent for parent in parents if parent.startswith("source.")]
        if layer(model) == "staging":
            assert model["config"]["materialized"] == "view", model["name"]
            assert len(sources) == len(parents) == 1, model["name"]
        elif is_windowed(model):
            # It names the event log for its partitions, and reads it through staging.
            assert "{{ source(" not in model["raw_code"], model["name"]
        else:
            assert sources == [], model["name"]


def test_marts_have_enforced_contracts_and_a_unique_key_that_begins_with_the_tenant(
    manifest: Node, models: list[Node]
) -> None:
    for model in models:
        if layer(model) == "marts":
            assert model["contract"]["enforced"], model["name"]
            assert unique_key(manifest, model)[0] == next(iter(model["columns"])) == "tenant_id", model["name"]


def unique_key(manifest: Node, model: Node) -> list[str]:
    """A table's primary key, or a unique index where texts may be too long for one; what a data test says of a view."""
    if model["config"]["materialized"] == "view":
        keys = [
            test["test_metadata"]["kwargs"]["columns"]
            for test in manifest["nodes"].values()
            if test["resource_type"] == "test"
            and test["attached_node"] == model["unique_id"]
            and test["test_metadata"]["name"] == "unique_grain"
        ]
    else:
        keys = [each["columns"] for each in model["constraints"] if each["type"] == "primary_key"]
        keys += [index["columns"] for index in model["config"].get("indexes", []) if index.get("unique")]
    (key,) = keys
    return list(key)


def test_every_model_source_and_column_is_described(manifest: Node, models: list[Node]) -> None:
    described = [*models, *manifest["sources"].values()]
    assert names([node for node in described if not node["description"].strip()]) == []
    columns = [(m["name"], c["name"]) for m in models for c in m["columns"].values() if not c["description"].strip()]
    assert columns == []


def test_every_mart_has_data_tests_and_its_comments_go_to_the_database(manifest: Node, models: list[Node]) -> None:
    tested = {
        parent
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        for parent in node["depends_on"]["nodes"]
    }
    marts = [model for model in models if layer(model) == "marts"]
    assert names([mart for mart in marts if mart["unique_id"] not in tested]) == []
    assert (
        names([mart for mart in marts if mart["config"]["persist_docs"] != {"relation": True, "columns": True}]) == []
    )


def test_windowed_models_say_what_they_replace_and_are_found_by_it(models: list[Node]) -> None:
    for model in filter(is_windowed, models):
        meta = model["config"]["meta"]
        window_column = model["columns"][meta["window_column"]]
        assert window_column["data_type"] == {"hour": "timestamptz", "day": "date"}[meta["grain"]], model["name"]
        is_indexed = {"columns": [meta["window_column"]]} in model["config"].get("indexes", [])
        assert is_indexed != meta.get("partitioned", False), model["name"]
        reads_events = "model.iris.stg_iris__events" in model["depends_on"]["nodes"]
        filters = ("in_window(",) if reads_events else ("in_window_days(", "dates_in_window(")
        assert any(each in model["raw_code"] for each in filters), model["name"]


def test_models_by_campaign_are_tagged_and_say_where_the_campaigns_go(models: list[Node]) -> None:
    by_campaign = [model for model in models if model["config"]["materialized"] == "by_campaign"]
    assert by_campaign
    for model in by_campaign:
        assert "by_campaign" in model["config"]["tags"], model["name"]
        assert list(model["columns"])[:2] == ["tenant_id", "campaign_id"], model["name"]
        assert "in_replaced_campaigns(" in model["raw_code"], model["name"]


def test_the_metrics_page_says_of_campaigns_what_the_models_say(models: list[Node]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    marts = [m for m in models if layer(m) == "marts" and Path(m["original_file_path"]).parent.name == "campaigns"]
    assert marts
    for mart in marts:
        (section,) = re.findall(rf"^### `analytics.{mart['name']}`$(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
        assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)) == {
            column["name"]: " ".join(column["description"].split()) for column in mart["columns"].values()
        }, mart["name"]


def test_both_rollups_have_the_same_measures_in_the_same_order(models: list[Node]) -> None:
    by_name = {model["name"]: list(model["columns"]) for model in models}
    measures = by_name["analytics_hourly"][4:]
    assert by_name["analytics_daily"][3:] == measures
    assert measures[0] == "messages_sent"
    assert measures[-1] == "computed_at"


def test_yml_files_are_named_after_their_folder(models: list[Node]) -> None:
    for model in models:
        folder = Path(model["original_file_path"]).parent.name
        assert model["patch_path"].endswith(f"/_{folder}__models.yml"), model["name"]


def test_the_metrics_page_has_every_figure_of_channels_delivery_and_finance(models: list[Node]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
    rows = set(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.MULTILINE))
    keys = {"tenant_id", "campaign_id", "date", "sent_date", "as_of_date", "window_days", "month", "computed_at"}
    keys |= {"channel", "provider", "error_code", "error_message"}
    lacking = [
        (model["name"], column["name"])
        for model in models
        if layer(model) == "marts" and model["fqn"][2] in ("channels", "delivery", "finance")
        for column in model["columns"].values()
        if column["name"] not in keys and (column["name"], " ".join(column["description"].split())) not in rows
    ]
    assert lacking == []
    assert len(rows) > 80


def test_somebody_reads_every_mart(manifest: Node, models: list[Node]) -> None:
    read = {parent for exposure in manifest["exposures"].values() for parent in exposure["depends_on"]["nodes"]}
    assert names([model for model in models if layer(model) == "marts" and model["unique_id"] not in read]) == []

"""What the documents promise is what the code has."""

import re
from pathlib import Path

from typer.main import get_command

from iris_pipelines.cli import app
from iris_pipelines.domain.engagement import POINTS
from iris_pipelines.domain.metrics import METRICS
from iris_pipelines.settings import Settings

ROOT = Path(__file__).parents[2]


def test_operations_lists_exactly_the_settings_that_there_are() -> None:
    documented = set(re.findall(r"^\| `(IRIS_[A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    assert documented == {f"IRIS_{name.upper()}" for name in Settings.model_fields}


def test_every_command_is_in_the_readme_or_in_operations() -> None:
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "operations.md").read_text()
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert sorted(name for name in commands if f"iris {name}" not in text) == []


def test_links_between_documents_lead_somewhere() -> None:
    documents = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    broken = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in documents
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
        if "://" not in target and not (document.parent / target).exists()
    ]
    assert broken == []


def described_in_models() -> dict[str, str]:
    """The doc blocks of dbt, which columns refer to, by name."""
    blocks = "".join(page.read_text() for page in sorted((ROOT / "dbt_project/models").rglob("*__docs.md")))
    described = re.findall(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", blocks, re.DOTALL)
    assert len(described) == len(dict(described))
    return {name: " ".join(text.split()) for name, text in described}


def said_on_the_page() -> set[tuple[str, str]]:
    """The names and meanings in docs/metrics.md; a mart may use a name for something of its own."""
    return set(re.findall(r"^\| `(\w+)` \| (.*) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))


def test_every_model_says_of_a_metric_what_the_registry_says() -> None:
    described = described_in_models()
    shared = METRICS.keys() & described.keys()
    assert {name: described[name] for name in shared} == {name: METRICS[name].description for name in shared}
    assert {"messages_sent", "delivery_rate", "unique_opens", "p95_delivery_time_ms", "total_cost"} <= shared


def test_the_metrics_page_says_of_every_metric_what_the_registry_says() -> None:
    defined = {(name, metric.description) for name, metric in METRICS.items()}
    assert sorted(defined - said_on_the_page()) == []


def test_the_metrics_page_says_what_the_models_say() -> None:
    described = described_in_models()
    for file in ("marts/rollups/_rollups__docs.md", "marts/contacts/_contacts__docs.md"):
        names = re.findall(r"{% docs (\w+) %}", (ROOT / "dbt_project/models" / file).read_text())
        assert names
        assert sorted({(name, described[name]) for name in names} - said_on_the_page()) == []


def test_the_engagement_page_lists_the_points_that_events_earn() -> None:
    rows = re.findall(r"^\| `([a-z.]+)` \| (\d+) \|$", (ROOT / "docs/engagement.md").read_text(), re.MULTILINE)
    assert {event_type: int(points) for event_type, points in rows} == POINTS

"""What the documents promise is what the code has."""

import re
from pathlib import Path

from typer.main import get_command

from iris_pipelines.cli import app
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


def test_every_model_says_of_a_metric_what_the_registry_says() -> None:
    blocks = "".join(page.read_text() for page in sorted((ROOT / "dbt_project/models").rglob("*__docs.md")))
    described = dict(re.findall(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", blocks, re.DOTALL))
    assert {name: " ".join(described[name].split()) for name in METRICS if name in described} == {
        name: metric.description for name, metric in METRICS.items() if name in described
    }
    assert "messages_sent" in described


def test_the_metrics_page_says_what_the_models_say() -> None:
    blocks = (ROOT / "dbt_project/models/marts/rollups/_rollups__docs.md").read_text()
    described = dict(re.findall(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", blocks, re.DOTALL))
    page = (ROOT / "docs/metrics.md").read_text()
    (section,) = re.findall(r"^## `analytics.analytics_hourly` .*?(?=^## )", page, re.MULTILINE | re.DOTALL)
    explained = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert described
    assert {name: explained.get(name) for name in described} == {
        name: " ".join(text.split()) for name, text in described.items()
    }

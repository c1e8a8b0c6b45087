"""Files of reports, opened again by independent readers and compared with plain SQL, cell by cell."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pypdf
import pypdfium2
import pytest

from iris_pipelines.db.database import Database
from iris_pipelines.domain.reports.definition import Format, read_definition
from iris_pipelines.reporting import making
from iris_pipelines.reporting.making import MadeReport, UnknownTenant, make_report
from iris_pipelines.reporting.renderers.safe_text import readable, spreadsheet_text
from tests.pipeline.reporting.traffic import TENANT, make_tenants, random_events, store
from tests.unit.reporting.renderers.payloads import FORMULAS

NOW = datetime(2026, 4, 7, 9, 40, tzinfo=UTC)
ASKED: dict[str, Any] = {
    "name": "Traffic",
    "description": "All of it, day by day.",
    "date_range": {"start": "2026-03-28", "end": "2026-04-01"},
    "metrics": ["messages_sent", "delivery_rate", "unique_recipients", "avg_delivery_time_ms", "total_cost"],
    "dimensions": ["date", "channel"],
    "timezone": "Europe/Berlin",
}
SQL = """
    select
        (timestamp at time zone 'Europe/Berlin')::date as day,
        coalesce(channel, 'unknown') as channel,
        count(*) filter (where event_type = 'message.sent') as sent,
        round(100.0 * count(*) filter (where event_type = 'message.delivered')
            / nullif(count(*) filter (where event_type = 'message.sent'), 0), 2) as rate,
        count(distinct contact_id) as recipients,
        round(avg(duration_ms) filter (where event_type = 'message.delivered'))::bigint as mean_ms,
        sum(cost) as cost
    from iris.analytics_events
    where tenant_id = %s and event_type <> 'api.request'
        and timestamp >= '2026-03-28 00:00 Europe/Berlin' and timestamp < '2026-04-01 00:00 Europe/Berlin'
    group by 1, 2 order by 1, 2
"""


@pytest.fixture
def traffic(database: Database) -> Database:
    make_tenants(database)
    events = random_events(random.Random(5), datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC), 1_500)
    store(database, events)
    return database


@pytest.fixture
def expected(traffic: Database) -> list[tuple[Any, ...]]:
    with traffic.transaction() as connection:
        rows = connection.execute(SQL, (TENANT,)).fetchall()
    assert len(rows) == 16
    return rows


def made(database: Database, folder: Path, kind: str, **parts: Any) -> MadeReport:
    bom = parts.pop("bom", False)
    definition = read_definition({**ASKED, **parts, "format": kind})
    return make_report(database, TENANT, definition, folder / f"report.{kind}", now=NOW, bom=bom)


def test_csv_holds_what_sql_says(traffic: Database, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    report = made(traffic, tmp_path, "csv")
    content = report.path.read_bytes()
    header, *rows = csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True)
    assert header == [*ASKED["dimensions"], *ASKED["metrics"]]
    assert rows == [["" if cell is None else str(cell) for cell in row] for row in expected]
    assert content.count(b"\r\n") == content.count(b"\n") == len(expected) + 1
    assert report.rows == len(expected)
    assert not report.is_truncated


def test_a_byte_order_mark_stands_in_front_if_wanted(traffic: Database, tmp_path: Path) -> None:
    plain = made(traffic, tmp_path, "csv").path.read_bytes()
    assert made(traffic, tmp_path, "csv", bom=True).path.read_bytes() == b"\xef\xbb\xbf" + plain


def test_json_holds_what_sql_says(traffic: Database, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    document = json.loads(made(traffic, tmp_path, "json").path.read_text(), parse_float=Decimal)
    rows = [(date.fromisoformat(row["date"]), *list(row.values())[1:]) for row in document["rows"]]
    assert rows == expected
    assert [type(cell) for row in rows for cell in row] == [type(cell) for row in expected for cell in row]
    assert document["result"] == {"row_count": len(expected), "truncated": False, "notes": []}
    assert document["report"]["period"]["start"] == "2026-03-27T23:00:00+00:00"
    assert read_definition(document["report"]["definition"]).metrics == tuple(ASKED["metrics"])


def test_xlsx_holds_what_sql_says(traffic: Database, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    book = openpyxl.load_workbook(made(traffic, tmp_path, "xlsx").path)
    sheet = book["Report"]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    assert [(row[0].date(), *row[1:]) for row in rows] == [  # type: ignore[union-attr]
        tuple(float(cell) if isinstance(cell, Decimal) else cell for cell in row) for row in expected
    ]
    kinds = {
        (cell.column, cell.data_type) for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None
    }
    assert kinds == {(1, "d"), (2, "s"), *((column, "n") for column in range(3, 8))}
    assert sheet["A2"].number_format == "yyyy-mm-dd"
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == f"A1:G{len(expected) + 1}"
    assert all(sheet.column_dimensions[letter].width >= 12 for letter in "AG")
    (chart,) = book["Chart"]._charts  # type: ignore[attr-defined]
    assert chart.series[0].val.numRef.f == f"Report!$C$2:$C${len(expected) + 1}"
    definition = dict(book["Definition"].iter_rows(max_col=2, values_only=True))
    assert (definition["Report"], definition["Time zone"], definition["Rows"]) == ("Traffic", "Europe/Berlin", "16")
    assert str(definition["delivery_rate"]).startswith("Delivered of sent (per cent")


def test_hours_that_read_the_same_are_told_apart(traffic: Database, tmp_path: Path) -> None:
    begin = datetime(2026, 10, 24, 22, tzinfo=UTC)
    with traffic.transaction() as connection:
        for hour in range(5):
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp) values (%s, 'message.sent', %s)",
                (TENANT, begin + timedelta(hours=hour)),
            )
    parts = {
        "dimensions": ["hour"],
        "metrics": ["messages_sent"],
        "date_range": {"start": "2026-10-25", "end": "2026-10-26"},
    }
    rows = list(csv.DictReader(made(traffic, tmp_path, "csv", **parts).path.read_text().splitlines()))
    assert [row["hour"] for row in rows] == [
        *("2026-10-25T00:00:00+02:00", "2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00"),
        *("2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"),
    ]
    sheet = openpyxl.load_workbook(made(traffic, tmp_path, "xlsx", **parts).path)["Report"]
    local = [(begin + timedelta(hours=n)).astimezone(ZoneInfo("Europe/Berlin")).replace(tzinfo=None) for n in range(5)]
    assert [row[0] for row in sheet.iter_rows(min_row=2, values_only=True)] == local


def test_pdf_holds_what_sql_says(traffic: Database, expected: list[tuple[Any, ...]], tmp_path: Path) -> None:
    pages = [page.extract_text() for page in pypdf.PdfReader(made(traffic, tmp_path, "pdf").path).pages]
    assert "Traffic" in pages[0]
    assert "28 to 31 March 2026" in pages[0]
    assert "Compared with 24 to 27 March 2026" in pages[0]
    text = "\n".join(pages)
    for day, channel, sent, rate, recipients, mean_ms, cost in expected:
        cells = [
            str(day),
            channel,
            f"{sent:,}",
            _shown(rate, 2),
            f"{recipients:,}",
            _shown(mean_ms, 0),
            _shown(cost, 2),
        ]
        assert re.search(r"\s*".join(map(re.escape, cells)), text), cells
    numbers = [re.search(r"Page (\d+) of (\d+)", page) for page in pages[1:]]
    assert [found and int(found[1]) for found in numbers] == list(range(2, len(pages) + 1))
    assert {found and int(found[2]) for found in numbers} == {len(pages)}


def _shown(value: Decimal | int | None, places: int) -> str:
    return "\N{EN DASH}" if value is None else f"{value:,.{places}f}"


def test_figures_of_a_pdf_are_those_of_all_rows_with_their_change(traffic: Database, tmp_path: Path) -> None:
    text = pypdf.PdfReader(made(traffic, tmp_path, "pdf").path).pages[1].extract_text()
    with traffic.transaction() as connection:
        now, before = (
            connection.execute(
                "select count(*) from iris.analytics_events where tenant_id = %s and event_type = 'message.sent'"
                " and timestamp >= %s and timestamp < %s",
                (TENANT, start, end),
            ).fetchone()
            for start, end in [
                ("2026-03-27 23:00Z", "2026-03-31 22:00Z"),
                ("2026-03-23 23:00Z", "2026-03-27 23:00Z"),
            ]
        )
    assert now is not None and before is not None
    share = (100 * Decimal(now[0] - before[0]) / before[0]).quantize(Decimal("0.1"))
    assert re.search(rf"Messages sent\s*{now[0]:,}\s*{re.escape(f'{share:+,} %')}\s*was {before[0]}", text), text


def test_a_pdf_shows_the_tenants_colour_and_logo(traffic: Database, tmp_path: Path) -> None:
    square = b'<rect width="10" height="10" fill="#0000ff"/>'
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">' + square + b"</svg>"
    with traffic.transaction() as connection:
        settings = [("report_colour", "#00ff00"), ("report_logo", "data:image/svg+xml;base64," + _base64(svg))]
        for key, value in settings:
            connection.execute("insert into iris.tenant_settings values (%s, %s, %s)", (TENANT, key, value))
    colours = _colours(made(traffic, tmp_path, "pdf").path, page=0)
    assert (0, 255, 0) in colours
    assert (0, 0, 255) in colours


@pytest.mark.parametrize("logo", ["no base64!", "aGVsbG8=", "PHN2ZyBicm9rZW4="])
def test_a_broken_logo_holds_no_report_back(traffic: Database, tmp_path: Path, logo: str) -> None:
    with traffic.transaction() as connection:
        connection.execute("insert into iris.tenant_settings values (%s, 'report_logo', %s)", (TENANT, logo))
    assert made(traffic, tmp_path, "pdf").rows == 16


def _base64(content: bytes) -> str:
    import base64

    return base64.b64encode(content).decode()


def _colours(path: Path, *, page: int) -> set[tuple[int, ...]]:
    document = pypdfium2.PdfDocument(path)
    image = document[page].render(scale=1).to_pil().convert("RGB")
    colours = {colour for _, colour in image.getcolors(1 << 24)}
    document.close()
    return colours


@pytest.fixture
def hostile(database: Database) -> Database:
    """Campaigns whose names are formulas, and worse."""
    make_tenants(database)
    with database.transaction() as connection:
        for number, name in enumerate(
            [*FORMULAS, 'a";=1+1;"', "a,b", 'say "hi"', "#set text(red)", "*bold* $x$ @ref <lab>"]
        ):
            campaign = f"00000000-0000-0000-0000-{number + 1:012}"
            connection.execute(
                "insert into iris.campaigns (tenant_id, id, name) values (%s, %s, %s)", (TENANT, campaign, name)
            )
            connection.execute(
                "insert into iris.analytics_events (tenant_id, event_type, timestamp, campaign_id, cost)"
                " values (%s, 'message.sent', '2026-03-30 12:00Z', %s, -1.5)",
                (TENANT, campaign),
            )
    return database


@pytest.fixture
def names(hostile: Database) -> Iterator[list[str]]:
    with hostile.transaction() as connection:
        rows = connection.execute("select name from iris.campaigns where id::text like '%-0000-0000-0000-00000000____'")
        yield sorted(
            spreadsheet_text(name) for (name,) in rows if name not in ("Summer sale", "Recall 100%", "summer news")
        )


BY_CAMPAIGN = {"dimensions": ["campaign"], "metrics": ["messages_sent", "total_cost"]}


def test_no_formula_gets_into_csv_and_numbers_stay_numbers(hostile: Database, names: list[str], tmp_path: Path) -> None:
    text = made(hostile, tmp_path, "csv", **BY_CAMPAIGN).path.read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert sorted(row["campaign"] for row in rows) == names
    assert len(rows) == len(FORMULAS) + 5
    assert {(row["messages_sent"], row["total_cost"]) for row in rows} == {("1", "-1.500000")}
    # Each text is in quotes, so that no list separator of any country starts a cell within it.
    for line in text.splitlines()[1:]:
        assert re.fullmatch(r'"[0-9a-f-]{36}","(?:[^"]|"")*",1,-1\.500000', line), line
        assert not re.match(r'"[0-9a-f-]{36}","\s*[=+@-]', line), line


def test_no_formula_gets_into_xlsx_and_numbers_stay_numbers(
    hostile: Database, names: list[str], tmp_path: Path
) -> None:
    sheet = openpyxl.load_workbook(made(hostile, tmp_path, "xlsx", **BY_CAMPAIGN).path)["Report"]
    cells = list(sheet.iter_rows(min_row=2))
    assert sorted(str(row[1].value) for row in cells) == names
    assert {row[1].data_type for row in cells} == {"s"}
    assert {(row[2].value, row[3].value, row[3].data_type) for row in cells} == {(1, -1.5, "n")}
    assert {
        cell.data_type for page in openpyxl.load_workbook(tmp_path / "report.xlsx") for row in page for cell in row
    } <= {*("s", "n", "d")}


def test_nothing_in_a_pdf_is_markup(hostile: Database, tmp_path: Path) -> None:
    report = made(hostile, tmp_path, "pdf", name="#panic() *x* \u202egpj", **BY_CAMPAIGN)
    text = "".join(page.extract_text() for page in pypdf.PdfReader(report.path).pages)
    for name in ("#panic() *x* gpj", "#set text(red)", "*bold* $x$ @ref <lab>", readable(FORMULAS[1])):
        assert name in text


def test_a_long_word_stays_in_its_column(database: Database, tmp_path: Path) -> None:
    make_tenants(database)
    with database.transaction() as connection:
        connection.execute("update iris.campaigns set name = %s", ("W" * 400,))
        connection.execute(
            "insert into iris.analytics_events (tenant_id, event_type, timestamp, campaign_id)"
            " select tenant_id, 'message.sent', '2026-03-30 12:00Z', id from iris.campaigns"
        )
    document = pypdfium2.PdfDocument(made(database, tmp_path, "pdf", **BY_CAMPAIGN).path)
    for page in document:
        text = page.get_textpage()
        edges = [text.get_charbox(place)[2] for place in range(text.count_chars())]
        assert max(edges, default=0) <= page.get_width()
    document.close()


def test_what_is_cut_off_is_said(traffic: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "MOST_ROWS", dict.fromkeys(Format, 5))
    for kind in Format:
        report = made(traffic, tmp_path, kind)
        assert (report.rows, report.is_truncated) == (5, True)
        assert report.notes == ("Only the first 5 rows are shown: there are more.",)
    assert json.loads((tmp_path / "report.json").read_text())["result"]["truncated"] is True
    book = openpyxl.load_workbook(tmp_path / "report.xlsx")
    assert "Only the first 5 rows" in str(list(book["Definition"].iter_rows(values_only=True)))
    assert "Only the first 5 rows" in pypdf.PdfReader(tmp_path / "report.pdf").pages[0].extract_text()
    monkeypatch.setattr(making, "MOST_ROWS", dict.fromkeys(Format, 16))
    assert not made(traffic, tmp_path, "csv").is_truncated, "16 rows are all there are"
    assert not made(traffic, tmp_path, "csv", limit=3).is_truncated, "a limit that was asked for cuts nothing off"


def test_a_report_of_nothing_is_a_report(traffic: Database, tmp_path: Path) -> None:
    empty = {"date_range": {"start": "2020-01-01", "end": "2020-02-01"}}
    for kind in Format:
        assert made(traffic, tmp_path, kind, **empty).rows == 0
        assert made(traffic, tmp_path, kind, **empty, dimensions=[]).rows == 1
    assert json.loads((tmp_path / "report.json").read_text())["rows"] == [
        {
            "messages_sent": 0,
            "delivery_rate": None,
            "unique_recipients": 0,
            "avg_delivery_time_ms": None,
            "total_cost": None,
        }
    ]


def test_a_period_that_is_not_over_says_so_and_is_compared_with_as_much_of_the_one_before(
    traffic: Database, tmp_path: Path
) -> None:
    note = "This period is not over: it was counted on 7 April 2026 at 11:40."
    for kind in Format:
        assert made(traffic, tmp_path, kind, date_range="today").notes == (note,)
    title = pypdf.PdfReader(tmp_path / "report.pdf").pages[0].extract_text()
    assert note in title
    assert "Compared with 6 April 2026 00:00 to 6 April 2026 11:40" in title


def test_the_same_report_is_the_same_file(traffic: Database, tmp_path: Path) -> None:
    for kind in Format:
        assert made(traffic, tmp_path, kind).sha256 == made(traffic, tmp_path, kind).sha256, kind


def test_a_report_that_fails_leaves_no_file_and_the_old_one_alone(traffic: Database, tmp_path: Path) -> None:
    before = made(traffic, tmp_path, "csv").sha256
    with pytest.raises(UnknownTenant, match="there is no tenant"):
        make_report(traffic, UnknownId, read_definition(ASKED), tmp_path / "report.csv", now=NOW)
    assert made(traffic, tmp_path, "csv").sha256 == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


def test_a_tenant_sees_its_own_events_only(traffic: Database, tmp_path: Path) -> None:
    with traffic.transaction() as connection:
        connection.execute("update iris.analytics_events set tenant_id = %s", (UnknownId,))
    assert made(traffic, tmp_path, "csv").rows == 0


UnknownId = TENANT.__class__(int=0xF)

"""What the platform keeps of contacts: their scores, written back from the mart."""

import dagster as dg

from iris_pipelines.db.contact_scores import WrittenScores, write_contact_scores
from iris_pipelines.defs.resources import Clock, DatabaseResource

CONTACTS = dg.AssetKey(["iris", "contacts"])
SCORES = dg.AssetKey(["analytics", "engagement_scores"])


seen_contacts = dg.AssetSpec(
    ["iris", "seen_contacts"],
    deps=[dg.AssetKey(["analytics_intermediate", "int_contact_points_daily"])],
    group_name="iris",
    owners=["team:data"],
    kinds={"postgres"},
    description="Contacts that events have named, with the day of the first event; kept up as scores are rebuilt.",
    metadata={"dagster/table_name": "iris.seen_contacts"},
)


@dg.asset(key=CONTACTS, deps=[SCORES], group_name="iris", owners=["team:data"], kinds={"postgres"})
def contacts(
    database: dg.ResourceParam[DatabaseResource], clock: dg.ResourceParam[Clock]
) -> dg.MaterializeResult[None]:
    """The platform's contacts, with their scores as of the last closed day; only changed rows are written."""
    return dg.MaterializeResult(metadata=_metadata(write_contact_scores(database.get(), now=clock.now())))


def announcements(written: WrittenScores | None) -> list[dg.AssetMaterialization]:
    """What Dagster is told of scores that were written outside of the asset."""
    return [] if written is None else [dg.AssetMaterialization(CONTACTS, metadata=_metadata(written))]


def _metadata(written: WrittenScores | None) -> dict[str, str | int]:
    if written is None:
        return {"changed": 0}
    return {"changed": written.changed, "as_of": written.as_of.isoformat()}

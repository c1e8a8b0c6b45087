-- name: keep_rejected(tenant_ids, sources, lines, reasons, details, payloads)!
-- The same record of the same source is kept once, with the latest reason.
insert into iris.rejected_events as kept (tenant_id, source, line, reason, detail, payload)
select
    incoming.tenant_id,
    incoming.source,
    incoming.line,
    incoming.reason,
    incoming.detail,
    incoming.payload
from
    unnest(
        :tenant_ids::uuid[],
        :sources::text[],
        :lines::bigint[],
        :reasons::text[],
        :details::text[],
        :payloads::text[]
    ) as incoming (tenant_id, source, line, reason, detail, payload)
order by md5(incoming.payload), incoming.line, md5(incoming.source)
on conflict (md5(payload), line, md5(source)) where replayed_at is null do update
    set
        tenant_id = excluded.tenant_id,
        reason = excluded.reason,
        detail = excluded.detail;

-- name: open_rejected(after, reason, row_limit)
-- The next rejected events that wait for a replay.
select
    id,
    reason,
    detail,
    payload
from iris.rejected_events
where
    replayed_at is null
    and id > :after
    and (:reason::text is null or reason = :reason::text)
order by id
limit :row_limit;

-- name: count_open_rejected(reason)$
select count(*)
from iris.rejected_events
where
    replayed_at is null
    and (:reason::text is null or reason = :reason::text);

-- name: note_still_rejected(ids, tenant_ids, reasons, details)!
update iris.rejected_events as kept
set
    tenant_id = judged.tenant_id,
    reason = judged.reason,
    detail = judged.detail
from
    unnest(
        :ids::bigint[],
        :tenant_ids::uuid[],
        :reasons::text[],
        :details::text[]
    ) as judged (id, tenant_id, reason, detail)
where kept.id = judged.id;

-- name: note_replayed(ids, replayed_at)!
update iris.rejected_events
set replayed_at = :replayed_at
where
    id = any(:ids)
    and replayed_at is null;

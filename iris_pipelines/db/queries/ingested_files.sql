-- name: allow_idle_transaction()!
-- For a transaction that only holds a lock while another works.
set local idle_in_transaction_session_timeout = 0;

-- name: lock_file_content(sha256)$
-- Waits for whoever loads the same content, and holds it until the transaction ends.
select pg_advisory_xact_lock(hashtextextended(:sha256, 7355608));

-- name: ingested_file(sha256)^
-- What became of a content that was loaded before.
select
    source,
    received,
    accepted,
    duplicates,
    rejected
from iris.ingested_files
where sha256 = :sha256;

-- name: note_ingested_file(sha256, source, bytes, received, accepted, duplicates, rejected, seconds)!
-- A content that is loaded again keeps its first source, and counts what all its loads accepted.
insert into iris.ingested_files as known (sha256, source, bytes, received, accepted, duplicates, rejected, seconds)
values (:sha256, :source, :bytes, :received, :accepted, :duplicates, :rejected, :seconds)
on conflict (sha256) do update
    set
        received = excluded.received,
        accepted = least(known.accepted + excluded.accepted, excluded.received - excluded.rejected),
        duplicates
        = excluded.received - excluded.rejected
        - least(known.accepted + excluded.accepted, excluded.received - excluded.rejected),
        rejected = excluded.rejected,
        seconds = excluded.seconds,
        ingested_at = excluded.ingested_at;

-- name: note_file_read(name, size, modified_at, sha256, problem)!
-- How a file looked when it was last read, and what was wrong with it.
insert into iris.read_files (name, size, modified_at, sha256, problem)
values (:name, :size, :modified_at, :sha256, :problem)
on conflict (name) do update
    set
        size = excluded.size,
        modified_at = excluded.modified_at,
        sha256 = excluded.sha256,
        problem = excluded.problem,
        read_at = excluded.read_at;

-- name: files_not_read(names, sizes, times)
-- Positions, from 1, of the files that look different from when they were last read, or never were.
select found.position
from
    unnest(:names::text[], :sizes::bigint[], :times::timestamptz[])
    with ordinality as found (name, size, modified_at, position)
left join iris.read_files as known on found.name = known.name
where
    known.name is null
    or known.size <> found.size
    or known.modified_at is distinct from found.modified_at
order by found.position;

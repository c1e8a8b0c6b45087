-- What finds any of some addresses in a text, however it writes them; null if there are none. Of addresses that are the
-- same for all rows, it is made once.
create function iris.pattern_of(addresses text[]) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return (
    select string_agg(regexp_replace(named.address, '([^[:alnum:]])', '\\\1', 'g'), '|')
    from unnest(addresses) as named (address)
);
comment on function iris.pattern_of(text[]) is 'A regular expression for any of some addresses, to match with ~*.';

create or replace function iris.without_addresses(message text, addresses text[]) returns text
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
return coalesce(regexp_replace(message, iris.pattern_of(addresses), '[erased]', 'gi'), message);

create function iris.uuids_in(message text) returns setof uuid
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
begin atomic
    select found.match[1]::uuid
    from
        regexp_matches(
            uuids_in.message, '([0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12})', 'gi'
        ) as found (match);
end;
comment on function iris.uuids_in(text) is 'Every UUID in a text, with or without dashes, in capitals or not.';

-- Whatever has no day yet comes through here: infinity, and milliseconds that somebody took for seconds, would be an
-- hour that no run can build, and no other hour would be built any more.
alter table iris_partitions.analytics_events_default
add constraint timestamp_has_an_hour check (
    timestamp >= '1000-01-01 00:00:00+00' and timestamp < '9999-01-01 00:00:00+00'
) not valid;

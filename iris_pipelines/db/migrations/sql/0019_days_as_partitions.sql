-- Tables of models whose days are partitions: a day is replaced without an index, and forgotten by dropping it.

create function iris.day_partition_name(parent regclass, day date) returns text
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select relname || to_char(day, '_YYYY_MM_DD')
    from pg_class
    where oid = parent;
end;

-- Makes the partition of a day unless it is there. Readers and writers of the others are not held up.
create function iris.hold_day_partition(parent regclass, day date) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    name constant text := iris.day_partition_name(parent, day);
begin
    if to_regclass(format('iris_partitions.%I', name)) is not null then
        return;
    end if;
    execute format('create table iris_partitions.%I (like %s including all)', name, parent);
    execute format('alter table %s attach partition iris_partitions.%I for values in (%L)', parent, name, day);
end
$$;

create function iris.day_partitions(parent regclass) returns setof date
language sql stable set search_path = pg_catalog, pg_temp
begin atomic
    select to_date(right(partitions.relname, 10), 'YYYY_MM_DD')
    from pg_inherits
    inner join pg_class as partitions on pg_inherits.inhrelid = partitions.oid
    where pg_inherits.inhparent = day_partitions.parent;
end;

-- Says whether it is gone. What somebody reads for longer than a moment is left for next time: whoever waits for the
-- lock on the whole table holds up all that come after.
create function iris.drop_day_partition(parent regclass, day date) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '500ms'
as $$
begin
    execute format('drop table if exists iris_partitions.%I', iris.day_partition_name(parent, day));
    return true;
exception when lock_not_available then
    return false;
end
$$;

comment on schema iris_partitions is
'Daily partitions of iris.analytics_events and of facts. Write through the parents: only these note what was touched.';

-- The same as before, in one look at the contacts that were seen.
create or replace function iris.see_contacts() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
    days date[];
begin
    perform pg_advisory_xact_lock(hashtext('iris.seen_contacts'));
    with taken as (
        delete from iris.stale_hours where consumer = 'iris.seen_contacts' returning hour
    )
    select array_agg(distinct (taken.hour at time zone 'UTC')::date) into days from taken;
    if days is null then
        return;
    end if;

    with touched as (
        select tenant_id, contact_id, min(date) as first_date
        from analytics_intermediate.int_contact_points_daily
        where date = any(days)
        group by tenant_id, contact_id
    ),
    -- Whoever was seen first on one of these days, and is no longer in it, was seen first on another day or never.
    changed as materialized (
        select
            tenant_id,
            contact_id,
            touched.first_date,
            seen.first_date is not null
            and (touched.first_date is null or touched.first_date > seen.first_date) as is_gone
        from touched
        full join iris.seen_contacts as seen using (tenant_id, contact_id)
        where
            seen.first_date is null
            or touched.first_date < seen.first_date
            or (seen.first_date = any(days) and touched.first_date is distinct from seen.first_date)
    ),
    found as materialized (
        select
            changed.tenant_id,
            changed.contact_id,
            case
                when changed.is_gone
                    then (
                        select min(points.date) from analytics_intermediate.int_contact_points_daily as points
                        where points.tenant_id = changed.tenant_id and points.contact_id = changed.contact_id
                    )
                else changed.first_date
            end as first_date
        from changed
    ),
    forgotten as (
        delete from iris.seen_contacts as seen
        using found
        where
            seen.tenant_id = found.tenant_id
            and seen.contact_id = found.contact_id
            and found.first_date is null
    )
    insert into iris.seen_contacts (tenant_id, contact_id, first_date)
    select tenant_id, contact_id, first_date from found
    where first_date is not null
    on conflict (tenant_id, contact_id) do update
    set first_date = excluded.first_date;
end
$$;

-- Made anew, as the table of a new consumer: from facts, which are all there.
drop table if exists analytics_intermediate.int_engagement_parts cascade;

-- Activity with the times of deliveries, from which the histograms are computed now. The rows stay
-- until they are replaced; of days that are archived, until these are restored.
do $$
begin
    if to_regclass('analytics_intermediate.int_activity_daily') is not null then
        alter table analytics_intermediate.int_activity_daily
            alter column message_ids set storage external,
            alter column contact_ids set storage external;
    end if;
end
$$;

delete from iris.stale_hours
where
    consumer in (
        'analytics_intermediate.int_activity_daily', 'analytics_intermediate.int_engagement_parts'
    );

delete from iris.event_consumers
where
    consumer in (
        'analytics_intermediate.int_activity_daily', 'analytics_intermediate.int_engagement_parts'
    );

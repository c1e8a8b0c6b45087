-- The same as before, for a tenth of the work: contacts that were seen before are left alone, where a conflict would
-- lock each of them, and those that are gone are told by hashing.
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

    -- Whoever was seen first on one of these days, and is no longer in it, was seen first on another day or never.
    with gone as (
        select tenant_id, contact_id, first_date from iris.seen_contacts
        where first_date = any(days)
        except
        select tenant_id, contact_id, date from analytics_intermediate.int_contact_points_daily
        where date = any(days)
    ),
    found as materialized (
        select
            gone.tenant_id,
            gone.contact_id,
            (
                select min(points.date) from analytics_intermediate.int_contact_points_daily as points
                where points.tenant_id = gone.tenant_id and points.contact_id = gone.contact_id
            ) as first_date
        from gone
    ),
    moved as (
        update iris.seen_contacts as seen
        set first_date = found.first_date
        from found
        where
            seen.tenant_id = found.tenant_id
            and seen.contact_id = found.contact_id
            and found.first_date is not null
    )
    delete from iris.seen_contacts as seen
    using found
    where
        seen.tenant_id = found.tenant_id
        and seen.contact_id = found.contact_id
        and found.first_date is null;
    insert into iris.seen_contacts as seen (tenant_id, contact_id, first_date)
    select points.tenant_id, points.contact_id, min(points.date)
    from analytics_intermediate.int_contact_points_daily as points
    where
        points.date = any(days)
        and not exists (
            select from iris.seen_contacts as known
            where
                known.tenant_id = points.tenant_id
                and known.contact_id = points.contact_id
                and known.first_date <= points.date
        )
    group by points.tenant_id, points.contact_id
    on conflict (tenant_id, contact_id) do update
    set first_date = excluded.first_date
    where excluded.first_date < seen.first_date;
end
$$;

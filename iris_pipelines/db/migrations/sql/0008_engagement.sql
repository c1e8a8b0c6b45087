-- Engagement: which contacts events have named, and scores that are due to be written to iris.contacts.

create table iris.seen_contacts (
    tenant_id uuid not null,
    contact_id uuid not null,
    first_date date not null,
    primary key (tenant_id, contact_id)
);
comment on table iris.seen_contacts is
'Contacts that events have named, with the UTC day of the first one: known without being in iris.contacts. '
'Kept up by iris.see_contacts().';

-- Two consumers that are no dbt models. The replacement of a day of their inputs notes it for them, as for any other.
insert into iris.event_consumers (consumer, grain, inputs)
values
('iris.seen_contacts', 'closed_day', array['analytics_intermediate.int_contact_points_daily']),
(
    'iris.contacts',
    'closed_day',
    array['analytics_intermediate.int_contact_points_daily', 'analytics_intermediate.int_engagement_parts']
);

-- All in one transaction: days are taken off the list first, and read then. Bound late, because dbt makes the table.
create function iris.see_contacts() returns void
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
    update iris.seen_contacts as seen
    set
        first_date = (
            select min(points.date) from analytics_intermediate.int_contact_points_daily as points
            where points.tenant_id = seen.tenant_id and points.contact_id = seen.contact_id
        )
    where
        seen.first_date = any(days)
        and not exists (
            select from analytics_intermediate.int_contact_points_daily as points
            where
                points.tenant_id = seen.tenant_id
                and points.contact_id = seen.contact_id
                and points.date = seen.first_date
        )
        and exists (
            select from analytics_intermediate.int_contact_points_daily as points
            where points.tenant_id = seen.tenant_id and points.contact_id = seen.contact_id
        );
    delete from iris.seen_contacts as seen
    where
        seen.first_date = any(days)
        and not exists (
            select from analytics_intermediate.int_contact_points_daily as points
            where points.tenant_id = seen.tenant_id and points.contact_id = seen.contact_id
        );
    insert into iris.seen_contacts as seen (tenant_id, contact_id, first_date)
    select points.tenant_id, points.contact_id, min(points.date)
    from analytics_intermediate.int_contact_points_daily as points
    where points.date = any(days)
    group by points.tenant_id, points.contact_id
    on conflict (tenant_id, contact_id) do update
    set first_date = excluded.first_date
    where excluded.first_date < seen.first_date;
end
$$;
comment on function iris.see_contacts() is
'Brings iris.seen_contacts up to date with the days of int_contact_points_daily that were replaced since then.';

-- A new contact is due the score that its events have earned already. The note stands at a day before all history.
create function iris.note_new_contacts() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    insert into iris.stale_hours (consumer, hour)
    select 'iris.contacts', timestamptz '2000-01-01 00:00+00'
    where exists (select from touched);
    return null;
end
$$;

create trigger note_new_contacts after insert on iris.contacts
referencing new table as touched
for each statement execute function iris.note_new_contacts();

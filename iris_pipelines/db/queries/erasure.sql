-- name: open_erasure(tenant_id, contact_id)^
-- The request to erase a contact: the one that was not finished, or a new one.
with new as (
    insert into iris.erasures (tenant_id, contact_id)
    values (:tenant_id, :contact_id)
    on conflict (tenant_id, contact_id) where completed_at is null do nothing
    returning
        erasure_id,
        pseudonym
)

select
    erasure_id,
    pseudonym
from new
union all
select
    erasure_id,
    pseudonym
from iris.erasures
where
    tenant_id = :tenant_id
    and contact_id = :contact_id
    and completed_at is null;

-- name: unfinished_erasures()
select
    tenant_id,
    contact_id
from iris.erasures
where completed_at is null
order by requested_at;

-- name: note_addresses(erasure_id)$
-- Everything that the contact was reached by, with what an unfinished request found before.
update iris.erasures as erasures
set
    addresses = (
        select coalesce(array_agg(distinct found.address order by found.address), '{}')
        from (
            select unnest(erasures.addresses) as address
            union all
            select unnest(array[contacts.email, contacts.phone, iris.normalised_address('sms', contacts.phone)])
            from iris.contacts as contacts
            where
                contacts.tenant_id = erasures.tenant_id
                and contacts.id = erasures.contact_id
            union all
            select unnest(array[messages.to_address, iris.normalised_address(messages.channel, messages.to_address)])
            from iris.messages as messages
            where
                messages.tenant_id = erasures.tenant_id
                and messages.to_contact_id = erasures.contact_id
            union all
            select bounces.address
            from iris.email_bounces as bounces
            where
                bounces.tenant_id = erasures.tenant_id
                and bounces.contact_id = erasures.contact_id
        ) as found
        where length(found.address) > 3
    )
where erasures.erasure_id = :erasure_id
returning erasures.addresses;

-- name: note_days_of_contact(erasure_id, addresses)!
-- The days whose exports hold events of the contact.
update iris.erasures as erasures
set
    days = (
        select coalesce(array_agg(distinct found.day order by found.day), '{}')
        from (
            select unnest(erasures.days) as day
            union all
            select (events.timestamp at time zone 'UTC')::date
            from iris.analytics_events as events
            where
                events.tenant_id = erasures.tenant_id
                and (
                    events.contact_id = erasures.contact_id
                    or (
                        events.contact_id is null
                        and (
                            events.message_id in (
                                select messages.id
                                from iris.messages as messages
                                where
                                    messages.tenant_id = erasures.tenant_id
                                    and messages.to_contact_id = erasures.contact_id
                            )
                            or concat_ws(' ', events.event_data, events.error_message) ~* iris.pattern_of(:addresses)
                        )
                    )
                )
        ) as found
    )
where erasures.erasure_id = :erasure_id;

-- name: note_archived_day_of_contact(erasure_id, day)!
update iris.erasures
set days = array_append(days, :day)
where
    erasure_id = :erasure_id
    and not (:day = any(days));

-- name: days_of_erasure(erasure_id)$
select days
from iris.erasures
where erasure_id = :erasure_id;

-- name: erase_events()#
-- What was found to be a machine stays so, though what showed it is gone: no rule judges it again.
update {relation} as events  -- noqa: PRS
set
    contact_id = case when events.contact_id = %(contact_id)s then %(pseudonym)s else events.contact_id end,
    event_data = null,
    ip_address = null,
    user_agent = null,
    geo_location = null,
    error_message = iris.without_addresses(events.error_message, %(addresses)s),
    machine_reason = case when not events.is_machine then events.machine_reason end
where
    events.tenant_id = %(tenant_id)s
    and (
        events.contact_id = %(contact_id)s
        or (
            events.contact_id is null
            and (
                events.message_id in (
                    select messages.id
                    from iris.messages as messages
                    where
                        messages.tenant_id = %(tenant_id)s
                        and messages.to_contact_id in (%(contact_id)s, %(pseudonym)s)
                )
                or concat_ws(' ', events.event_data, events.error_message) ~* iris.pattern_of(%(addresses)s)
            )
            and (
                events.event_data is not null
                or events.ip_address is not null
                or events.user_agent is not null
                or events.geo_location is not null
                or events.error_message ~* iris.pattern_of(%(addresses)s)
            )
        )
    );

-- name: messages_of_contact(tenant_id, contact_id, pseudonym)
select messages.id
from iris.messages as messages
where
    messages.tenant_id = :tenant_id
    and messages.to_contact_id in (:contact_id, :pseudonym);

-- name: erase_messages(tenant_id, contact_id, pseudonym, addresses)!
update iris.messages
set
    to_contact_id = :pseudonym,
    to_address = null,
    error_message = iris.without_addresses(error_message, :addresses)
where
    tenant_id = :tenant_id
    and to_contact_id = :contact_id;

-- name: erase_contact(tenant_id, contact_id, pseudonym)!
update iris.contacts
set
    id = :pseudonym,
    first_name = null,
    last_name = null,
    email = null,
    phone = null
where
    tenant_id = :tenant_id
    and id = :contact_id;

-- name: erase_bounces(tenant_id, contact_id, pseudonym, addresses)!
update iris.email_bounces
set
    contact_id = case when contact_id = :contact_id then :pseudonym else contact_id end,
    address = null,
    raw_response = null
where
    tenant_id = :tenant_id
    and (
        contact_id = :contact_id
        or address = any(
            array(
                select iris.normalised_address('email', addresses.address)
                from unnest(:addresses::text[]) as addresses (address)
            )
        )
    );

-- name: hide_suppressed_addresses(tenant_id, addresses)$
-- They still must not be written to: a digest takes the place of each; says how many there were.
with readable as (
    delete from iris.suppression_list as suppressed
    where
        suppressed.tenant_id = :tenant_id
        and exists (
            select
            from unnest(:addresses::text[]) as addresses (address)
            where
                suppressed.address in (
                    addresses.address,
                    iris.normalised_address(suppressed.channel, addresses.address)
                )
        )
    returning *
),

hidden as (
    insert into iris.suppression_list (tenant_id, address, channel, suppression_type, suppressed_at)
    select
        readable.tenant_id,
        iris.address_digest(readable.tenant_id, readable.channel, readable.address),
        readable.channel,
        readable.suppression_type,
        min(readable.suppressed_at)
    from readable
    group by
        readable.tenant_id,
        iris.address_digest(readable.tenant_id, readable.channel, readable.address),
        readable.channel,
        readable.suppression_type
    on conflict (tenant_id, address, channel) do nothing
)

select count(*) from readable;

-- name: rejected_events_of_contact(tenant_id, contact_id, pseudonym, addresses)
-- Rejected events that name the contact, or an address, or only a message to it; some say nothing about their tenant.
select
    rejected.id,
    rejected.payload,
    found.is_named
from iris.rejected_events as rejected
cross join
    lateral (
        select
            coalesce(rejected.payload ~* iris.pattern_of(:addresses), false)
            or coalesce(bool_or(uuids.id = :contact_id), false) as is_named,
            count(messages.id) > 0 as is_of_message
        from iris.uuids_in(rejected.payload) as uuids (id)
        left join iris.messages as messages
            on
                uuids.id = messages.id
                and messages.tenant_id = :tenant_id
                and messages.to_contact_id in (:contact_id, :pseudonym)
    ) as found
where
    (rejected.tenant_id = :tenant_id or rejected.tenant_id is null)
    and (found.is_named or found.is_of_message)
order by rejected.id
for update of rejected;

-- name: erase_rejected_event(rejected_id, payload, can_be_replayed)!
-- Unless the same is there already.
update iris.rejected_events as kept
set
    payload = :payload,
    detail = 'the contact was erased',
    replayed_at = case when :can_be_replayed then kept.replayed_at else coalesce(kept.replayed_at, clock_timestamp()) end
where
    kept.id = :rejected_id
    and not exists (
        select
        from iris.rejected_events as same
        where
            md5(same.payload) = md5(:payload)
            and (same.line, md5(same.source)) is not distinct from (kept.line, md5(kept.source))
            and same.replayed_at is null
            and same.id <> kept.id
            and :can_be_replayed
    );

-- name: delete_rejected_event(rejected_id)!
delete from iris.rejected_events
where id = :rejected_id;

-- name: relations_with_contacts()
-- Tables made from events that hold contacts, one to a row or many in an array. Not every consumer is called like a
-- table, and PostgreSQL 15 refuses to look such a name up.
select
    consumers.consumer,
    attribute.attname = 'contact_ids' as in_arrays
from iris.event_consumers as consumers
inner join pg_attribute as attribute
    on
        attribute.attrelid = case
            when consumers.consumer ~ '^[a-z0-9_]+\.[a-z0-9_]+$' then to_regclass(consumers.consumer)
        end
        and attribute.attname in ('contact_id', 'contact_ids')
        and not attribute.attisdropped
order by consumers.consumer;

-- name: rename_contact_in_relation()#
update {relation} as held  -- noqa: PRS
set contact_id = %(pseudonym)s
where
    held.tenant_id = %(tenant_id)s
    and held.contact_id = %(contact_id)s;

-- name: rename_contact_in_arrays()#
update {relation} as held  -- noqa: PRS
set contact_ids = array_replace(held.contact_ids, %(contact_id)s, %(pseudonym)s)
where
    held.tenant_id = %(tenant_id)s
    and %(contact_id)s = any(held.contact_ids);

-- name: add_to_receipt(erasure_id, touched)!
-- Adds numbers and lists to those that are there.
update iris.erasures as erasures
set receipt = erasures.receipt || (
    select coalesce(
        jsonb_object_agg(
            touched.key,
            case jsonb_typeof(touched.value)
                when 'number'
                    then to_jsonb(coalesce((erasures.receipt -> touched.key)::bigint, 0) + touched.value::bigint)
                else coalesce(erasures.receipt -> touched.key, '[]') || touched.value
            end
        ),
        '{}'
    )
    from jsonb_each(:touched) as touched (key, value)  -- noqa: PRS
)
where erasures.erasure_id = :erasure_id;

-- name: complete_erasure(erasure_id)<!
-- From here on, nothing leads from the contact to the pseudonym.
update iris.erasures
set
    contact_id = null,
    pseudonym = null,
    addresses = null,
    completed_at = clock_timestamp()
where erasure_id = :erasure_id
returning
    requested_at,
    completed_at,
    days,
    receipt;

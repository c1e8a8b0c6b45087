-- name: stored_effects(types_on_messages)^
-- Whether the batch stored anything that changes a message, and anything that changes an address.
select
    coalesce(bool_or(stored.message_id is not null and stored.event_type = any(:types_on_messages)), false),
    coalesce(bool_or(stored.event_type <> all(:types_on_messages)), false)
from stored_events as stored;

-- name: lock_messages_of_stored_events()!
-- In one order for all writers, so that two of them do not wait for each other.
select 1
from iris.messages as messages
where
    (messages.tenant_id, messages.id) in (
        select
            stored.tenant_id,
            stored.message_id
        from stored_events as stored
    )
order by messages.tenant_id, messages.id
for update;

-- name: update_messages(statuses)!
-- Every column moves in one direction only, so the result does not depend on the order of arrival.
-- The comparisons stand in the assignments: they must see the row as a concurrent writer left it.
with changes as (
    select
        stored.tenant_id,
        stored.message_id,
        max(array_position(:statuses::text[], split_part(stored.event_type, '.', 2))) as status_rank,
        min(stored.timestamp) filter (where stored.event_type = 'message.sent') as sent_at,
        min(stored.timestamp) filter (where stored.event_type = 'message.delivered') as delivered_at,
        min(stored.timestamp) filter (where stored.event_type = 'message.failed') as failed_at,
        min(stored.timestamp) filter (where stored.event_type = 'message.opened') as opened_at,
        min(stored.timestamp) filter (where stored.event_type = 'link.clicked') as clicked_at,
        count(*) filter (where stored.event_type = 'message.opened') as opens,
        count(*) filter (where stored.event_type = 'link.clicked') as clicks
    from stored_events as stored
    where
        stored.message_id is not null
        and (stored.event_type = 'link.clicked' or starts_with(stored.event_type, 'message.'))
    group by stored.tenant_id, stored.message_id
),

failures as (
    select distinct on (stored.tenant_id, stored.message_id)
        stored.tenant_id,
        stored.message_id,
        stored.error_code,
        stored.error_message
    from stored_events as stored
    where stored.event_type = 'message.failed'
    order by
        stored.tenant_id,
        stored.message_id,
        stored.timestamp,
        coalesce(stored.error_code, ''),
        coalesce(stored.error_message, '')
),

changes_with_errors as (
    select
        changes.*,
        failures.error_code,
        failures.error_message
    from changes
    left join failures
        on
            changes.tenant_id = failures.tenant_id
            and changes.message_id = failures.message_id
)

update iris.messages as messages
set
    status = case
        when
            changes.status_rank > coalesce(array_position(:statuses::text[], messages.status), 0)
            then (:statuses::text[])[changes.status_rank]
        else messages.status
    end,
    sent_at = least(messages.sent_at, changes.sent_at),
    delivered_at = least(messages.delivered_at, changes.delivered_at),
    failed_at = least(messages.failed_at, changes.failed_at),
    opened_at = least(messages.opened_at, changes.opened_at),
    open_count = messages.open_count + changes.opens,
    clicked_at = least(messages.clicked_at, changes.clicked_at),
    click_count = messages.click_count + changes.clicks,
    (error_code, error_message) = (
        select
            case when earlier.is_it then changes.error_code else messages.error_code end,
            case when earlier.is_it then changes.error_message else messages.error_message end
        from (
            select
                changes.failed_at is not null
                and (
                    messages.failed_at is null
                    or (
                        changes.failed_at,
                        coalesce(changes.error_code, ''),
                        coalesce(changes.error_message, '')
                    ) < (
                        messages.failed_at,
                        coalesce(messages.error_code, ''),
                        coalesce(messages.error_message, '')
                    )
                ) as is_it
        ) as earlier
    )
from changes_with_errors as changes
where
    messages.tenant_id = changes.tenant_id
    and messages.id = changes.message_id;

-- name: add_bounces()!
insert into iris.email_bounces (
    tenant_id, message_id, contact_id, address, bounce_type, bounce_subtype, bounced_at, raw_response
)
select
    stored.tenant_id,
    stored.message_id,
    stored.contact_id,
    iris.normalised_address(
        'email',
        coalesce(
            messages.to_address,
            contacts.email,
            stored.event_data ->> 'address',
            stored.event_data ->> 'email',
            stored.event_data ->> 'recipient'
        )
    ),
    case stored.event_type
        when 'email.hard_bounce' then 'hard'
        when 'email.soft_bounce' then 'soft'
        else 'complaint'
    end,
    stored.event_data ->> 'bounce_subtype',
    stored.timestamp,
    coalesce(stored.event_data ->> 'raw_response', stored.error_message)
from stored_events as stored
left join iris.messages as messages
    on
        stored.tenant_id = messages.tenant_id
        and stored.message_id = messages.id
left join iris.contacts as contacts
    on
        stored.tenant_id = contacts.tenant_id
        and stored.contact_id = contacts.id
where stored.event_type in ('email.hard_bounce', 'email.soft_bounce', 'email.complaint');

-- name: suppress_addresses()!
-- The earliest event that suppresses an address is the one on record; what a person entered stays.
with addressed as (
    select
        stored.tenant_id,
        stored.timestamp as suppressed_at,
        addresses.channel,
        iris.normalised_address(
            addresses.channel,
            coalesce(
                messages.to_address,
                case
                    when addresses.channel = 'email' then contacts.email
                    when addresses.channel in ('sms', 'voice', 'whatsapp') then contacts.phone
                end,
                stored.event_data ->> 'address',
                stored.event_data ->> 'email',
                stored.event_data ->> 'recipient'
            )
        ) as address,
        case stored.event_type
            when 'email.hard_bounce' then 'bounce'
            when 'email.complaint' then 'complaint'
            else 'unsubscribe'
        end as suppression_type,
        coalesce(stored.event_data ->> 'bounce_subtype', stored.event_data ->> 'reason') as reason
    from stored_events as stored
    cross join
        lateral (
            select case
                when stored.event_type = 'message.unsubscribed' then coalesce(stored.channel, 'email')
                else 'email'
            end as channel
        ) as addresses
    left join iris.messages as messages
        on
            stored.tenant_id = messages.tenant_id
            and stored.message_id = messages.id
    left join iris.contacts as contacts
        on
            stored.tenant_id = contacts.tenant_id
            and stored.contact_id = contacts.id
    where stored.event_type in ('email.hard_bounce', 'email.complaint', 'message.unsubscribed')
)

insert into iris.suppression_list as suppressed (
    tenant_id, address, channel, suppression_type, reason, suppressed_at
)
select distinct on (addressed.tenant_id, addressed.address, addressed.channel)
    addressed.tenant_id,
    addressed.address,
    addressed.channel,
    addressed.suppression_type,
    addressed.reason,
    addressed.suppressed_at
from addressed
where
    addressed.address <> ''
    -- Longer than any address, and than an index takes.
    and octet_length(addressed.address) <= 1000
order by
    addressed.tenant_id,
    addressed.address,
    addressed.channel,
    addressed.suppressed_at,
    addressed.suppression_type,
    coalesce(addressed.reason, '')
on conflict (tenant_id, address, channel) do update
    set
        suppression_type = excluded.suppression_type,
        reason = excluded.reason,
        suppressed_at = excluded.suppressed_at
    where
    suppressed.suppression_type <> 'manual'
    and (excluded.suppressed_at, excluded.suppression_type, coalesce(excluded.reason, ''))
    < (suppressed.suppressed_at, suppressed.suppression_type, coalesce(suppressed.reason, ''));

-- name: update_contacts(email_statuses)!
-- A contact that complained stays so, whatever bounces later.
with changes as (
    select
        stored.tenant_id,
        stored.contact_id,
        max(
            array_position(
                :email_statuses::text[],
                case stored.event_type when 'email.complaint' then 'complained' else 'bounced' end
            )
        ) as status_rank
    from stored_events as stored
    where
        stored.event_type in ('email.hard_bounce', 'email.complaint')
        and stored.contact_id is not null
    group by stored.tenant_id, stored.contact_id
)

update iris.contacts as contacts
set email_status = (:email_statuses::text[])[changes.status_rank]
from changes
where
    contacts.tenant_id = changes.tenant_id
    and contacts.id = changes.contact_id
    and changes.status_rank > coalesce(array_position(:email_statuses::text[], contacts.email_status), 0);

-- name: is_suppressed(tenant_id, channel, address)$
-- Other services may have written an address as they had it; of an erased contact, only a digest is left.
select exists(
    select
    from iris.suppression_list as suppressed
    where
        suppressed.tenant_id = :tenant_id
        and suppressed.channel = lower(trim(:channel))
        and suppressed.address in (
            :address,
            iris.normalised_address(:channel, :address),
            iris.address_digest(:tenant_id, :channel, :address)
        )
);

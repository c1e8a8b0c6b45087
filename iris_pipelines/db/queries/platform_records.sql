-- name: create_incoming_contacts()#
create temporary table if not exists incoming_contacts (
    line bigint not null,
    tenant_id uuid not null,
    id uuid not null,
    first_name text,
    last_name text,
    email text,
    phone text,
    email_status text,
    engagement_score integer,
    last_engagement_at timestamptz,
    created_at timestamptz
) on commit delete rows;

-- name: empty_incoming_contacts()#
truncate incoming_contacts;

-- name: copy_incoming_contacts()#
copy incoming_contacts (
    line,
    tenant_id,
    id,
    first_name,
    last_name,
    email,
    phone,
    email_status,
    engagement_score,
    last_engagement_at,
    created_at
) from stdin;

-- name: insert_new_contacts()!
-- Where an id stands in several lines, the last one counts.
insert into iris.contacts (
    tenant_id,
    id,
    first_name,
    last_name,
    email,
    phone,
    email_status,
    engagement_score,
    last_engagement_at,
    created_at
)
select distinct on (incoming.tenant_id, incoming.id)
    incoming.tenant_id,
    incoming.id,
    incoming.first_name,
    incoming.last_name,
    incoming.email,
    incoming.phone,
    incoming.email_status,
    coalesce(incoming.engagement_score, 0) as engagement_score,
    incoming.last_engagement_at,
    coalesce(incoming.created_at, now()) as created_at
from incoming_contacts as incoming
order by incoming.tenant_id asc, incoming.id asc, incoming.line desc
on conflict (tenant_id, id) do nothing;

-- name: update_known_contacts(email_statuses)!
-- What the file does not say stays; and so does what a bounce or a complaint said of an address.
with incoming as (
    select distinct on (contacts.tenant_id, contacts.id) contacts.*
    from incoming_contacts as contacts
    order by contacts.tenant_id asc, contacts.id asc, contacts.line desc
),

merged as (
    select
        known.tenant_id,
        known.id,
        coalesce(incoming.first_name, known.first_name) as first_name,
        coalesce(incoming.last_name, known.last_name) as last_name,
        coalesce(incoming.email, known.email) as email,
        coalesce(incoming.phone, known.phone) as phone,
        case
            when
                coalesce(array_position(:email_statuses::text[], known.email_status), 0)
                > coalesce(array_position(:email_statuses::text[], incoming.email_status), 0)
                then known.email_status
            else coalesce(incoming.email_status, known.email_status)
        end as email_status,
        coalesce(incoming.engagement_score, known.engagement_score) as engagement_score,
        coalesce(incoming.last_engagement_at, known.last_engagement_at) as last_engagement_at,
        coalesce(incoming.created_at, known.created_at) as created_at
    from iris.contacts as known
    inner join incoming
        on
            known.tenant_id = incoming.tenant_id
            and known.id = incoming.id
)

update iris.contacts as known
set
    first_name = merged.first_name,
    last_name = merged.last_name,
    email = merged.email,
    phone = merged.phone,
    email_status = merged.email_status,
    engagement_score = merged.engagement_score,
    last_engagement_at = merged.last_engagement_at,
    created_at = merged.created_at
from merged
where
    known.tenant_id = merged.tenant_id
    and known.id = merged.id
    and (
        known.first_name,
        known.last_name,
        known.email,
        known.phone,
        known.email_status,
        known.engagement_score,
        known.last_engagement_at,
        known.created_at
    ) is distinct from (
        merged.first_name,
        merged.last_name,
        merged.email,
        merged.phone,
        merged.email_status,
        merged.engagement_score,
        merged.last_engagement_at,
        merged.created_at
    );

-- name: create_incoming_campaigns()#
create temporary table if not exists incoming_campaigns (
    line bigint not null,
    tenant_id uuid not null,
    id uuid not null,
    name text,
    status text,
    channel text,
    created_at timestamptz
) on commit delete rows;

-- name: empty_incoming_campaigns()#
truncate incoming_campaigns;

-- name: copy_incoming_campaigns()#
copy incoming_campaigns (line, tenant_id, id, name, status, channel, created_at) from stdin;

-- name: first_new_campaign_without_name()$
select min(incoming.line)
from incoming_campaigns as incoming
left join iris.campaigns as known
    on
        incoming.tenant_id = known.tenant_id
        and incoming.id = known.id
where
    incoming.name is null
    and known.id is null;

-- name: insert_new_campaigns()!
-- Where an id stands in several lines, the last one counts.
insert into iris.campaigns (tenant_id, id, name, status, channel, created_at)
select distinct on (incoming.tenant_id, incoming.id)
    incoming.tenant_id,
    incoming.id,
    incoming.name,
    coalesce(incoming.status, 'draft') as status,
    incoming.channel,
    coalesce(incoming.created_at, now()) as created_at
from incoming_campaigns as incoming
where incoming.name is not null
order by incoming.tenant_id asc, incoming.id asc, incoming.line desc
on conflict (tenant_id, id) do nothing;

-- name: update_known_campaigns()!
-- What the file does not say stays.
with incoming as (
    select distinct on (campaigns.tenant_id, campaigns.id) campaigns.*
    from incoming_campaigns as campaigns
    order by campaigns.tenant_id asc, campaigns.id asc, campaigns.line desc
)

update iris.campaigns as known
set
    name = coalesce(incoming.name, known.name),
    status = coalesce(incoming.status, known.status),
    channel = coalesce(incoming.channel, known.channel),
    created_at = coalesce(incoming.created_at, known.created_at)
from incoming
where
    known.tenant_id = incoming.tenant_id
    and known.id = incoming.id
    and (known.name, known.status, known.channel, known.created_at) is distinct from (
        coalesce(incoming.name, known.name),
        coalesce(incoming.status, known.status),
        coalesce(incoming.channel, known.channel),
        coalesce(incoming.created_at, known.created_at)
    );

-- name: create_incoming_messages()#
create temporary table if not exists incoming_messages (
    line bigint not null,
    tenant_id uuid not null,
    id uuid not null,
    campaign_id uuid,
    to_contact_id uuid,
    to_address text,
    channel text,
    provider text,
    provider_message_id text,
    variant text,
    status text,
    provider_status text,
    cost numeric(10, 6),
    created_at timestamptz,
    sent_at timestamptz,
    delivered_at timestamptz,
    failed_at timestamptz,
    opened_at timestamptz,
    open_count integer,
    clicked_at timestamptz,
    click_count integer,
    error_code text,
    error_message text
) on commit delete rows;

-- name: empty_incoming_messages()#
truncate incoming_messages;

-- name: copy_incoming_messages()#
copy incoming_messages (
    line,
    tenant_id,
    id,
    campaign_id,
    to_contact_id,
    to_address,
    channel,
    provider,
    provider_message_id,
    variant,
    status,
    provider_status,
    cost,
    created_at,
    sent_at,
    delivered_at,
    failed_at,
    opened_at,
    open_count,
    clicked_at,
    click_count,
    error_code,
    error_message
) from stdin;

-- name: insert_new_messages()!
-- Where an id stands in several lines, the last one counts.
insert into iris.messages (
    tenant_id,
    id,
    campaign_id,
    to_contact_id,
    to_address,
    channel,
    provider,
    provider_message_id,
    variant,
    status,
    provider_status,
    cost,
    created_at,
    sent_at,
    delivered_at,
    failed_at,
    opened_at,
    open_count,
    clicked_at,
    click_count,
    error_code,
    error_message
)
select distinct on (incoming.tenant_id, incoming.id)
    incoming.tenant_id,
    incoming.id,
    incoming.campaign_id,
    incoming.to_contact_id,
    incoming.to_address,
    incoming.channel,
    incoming.provider,
    incoming.provider_message_id,
    incoming.variant,
    coalesce(incoming.status, 'queued') as status,
    incoming.provider_status,
    incoming.cost,
    coalesce(incoming.created_at, now()) as created_at,
    incoming.sent_at,
    incoming.delivered_at,
    incoming.failed_at,
    incoming.opened_at,
    coalesce(incoming.open_count, 0) as open_count,
    incoming.clicked_at,
    coalesce(incoming.click_count, 0) as click_count,
    incoming.error_code,
    incoming.error_message
from incoming_messages as incoming
order by incoming.tenant_id asc, incoming.id asc, incoming.line desc
on conflict (tenant_id, id) do nothing;

-- name: update_known_messages(statuses)!
-- What the file does not say stays. What events wrote (status, times, counts, errors) moves in one direction only, as
-- it does by events: a file that was written before them takes nothing back.
with incoming as (
    select distinct on (messages.tenant_id, messages.id) messages.*
    from incoming_messages as messages
    order by messages.tenant_id asc, messages.id asc, messages.line desc
),

merged as (
    select
        known.tenant_id,
        known.id,
        coalesce(incoming.campaign_id, known.campaign_id) as campaign_id,
        coalesce(incoming.to_contact_id, known.to_contact_id) as to_contact_id,
        coalesce(incoming.to_address, known.to_address) as to_address,
        coalesce(incoming.channel, known.channel) as channel,
        coalesce(incoming.provider, known.provider) as provider,
        coalesce(incoming.provider_message_id, known.provider_message_id) as provider_message_id,
        coalesce(incoming.variant, known.variant) as variant,
        case
            when
                coalesce(array_position(:statuses::text[], known.status), 0)
                > coalesce(array_position(:statuses::text[], incoming.status), 0)
                then known.status
            else coalesce(incoming.status, known.status)
        end as status,
        coalesce(incoming.provider_status, known.provider_status) as provider_status,
        coalesce(incoming.cost, known.cost) as cost,
        coalesce(incoming.created_at, known.created_at) as created_at,
        least(incoming.sent_at, known.sent_at) as sent_at,
        least(incoming.delivered_at, known.delivered_at) as delivered_at,
        least(incoming.failed_at, known.failed_at) as failed_at,
        least(incoming.opened_at, known.opened_at) as opened_at,
        greatest(incoming.open_count, known.open_count) as open_count,
        least(incoming.clicked_at, known.clicked_at) as clicked_at,
        greatest(incoming.click_count, known.click_count) as click_count,
        coalesce(known.error_code, incoming.error_code) as error_code,
        coalesce(known.error_message, incoming.error_message) as error_message
    from iris.messages as known
    inner join incoming
        on
            known.tenant_id = incoming.tenant_id
            and known.id = incoming.id
    order by known.tenant_id, known.id
    for update of known
)

update iris.messages as known
set
    campaign_id = merged.campaign_id,
    to_contact_id = merged.to_contact_id,
    to_address = merged.to_address,
    channel = merged.channel,
    provider = merged.provider,
    provider_message_id = merged.provider_message_id,
    variant = merged.variant,
    status = merged.status,
    provider_status = merged.provider_status,
    cost = merged.cost,
    created_at = merged.created_at,
    sent_at = merged.sent_at,
    delivered_at = merged.delivered_at,
    failed_at = merged.failed_at,
    opened_at = merged.opened_at,
    open_count = merged.open_count,
    clicked_at = merged.clicked_at,
    click_count = merged.click_count,
    error_code = merged.error_code,
    error_message = merged.error_message
from merged
where
    known.tenant_id = merged.tenant_id
    and known.id = merged.id
    and (
        known.campaign_id,
        known.to_contact_id,
        known.to_address,
        known.channel,
        known.provider,
        known.provider_message_id,
        known.variant,
        known.status,
        known.provider_status,
        known.cost,
        known.created_at,
        known.sent_at,
        known.delivered_at,
        known.failed_at,
        known.opened_at,
        known.open_count,
        known.clicked_at,
        known.click_count,
        known.error_code,
        known.error_message
    ) is distinct from (
        merged.campaign_id,
        merged.to_contact_id,
        merged.to_address,
        merged.channel,
        merged.provider,
        merged.provider_message_id,
        merged.variant,
        merged.status,
        merged.provider_status,
        merged.cost,
        merged.created_at,
        merged.sent_at,
        merged.delivered_at,
        merged.failed_at,
        merged.opened_at,
        merged.open_count,
        merged.clicked_at,
        merged.click_count,
        merged.error_code,
        merged.error_message
    );

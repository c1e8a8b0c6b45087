{{ config(materialized='windowed') }}

with

events as (

    select
        tenant_id,
        {{ date_of_event() }} as date,
        coalesce(channel, 'unknown') as channel,
        event_type,
        is_machine,
        contact_id,
        cost,
        duration_ms

    from {{ ref('stg_iris__events') }}
    where {{ in_window('timestamp') }} and event_type <> 'api.request'

),

-- Materialized, so that the events are read and hashed once, whatever order the steps below would like them in.
by_type as materialized (

    select
        tenant_id,
        date,
        channel,
        event_type,
        {{ measures_of_a_type() }}

    from events
    group by tenant_id, date, channel, event_type

),

counted as (

    select
        tenant_id,
        date,
        channel,
        {{ counts_and_costs() }}

    from by_type
    group by tenant_id, date, channel

),

-- One row per event again, but in the order of the groups: sorting the rows by type before they are unnested costs a
-- tenth of sorting the events.
unnested as (

    select
        tenant_id,
        date,
        channel,
        event_type = 'message.opened' as is_open,
        event_type = 'link.clicked' as is_click,
        unnest(contact_ids) as contact_id,
        unnest(delivery_times_ms) as duration_ms

    from by_type
    order by tenant_id, date, channel

),

distributed as (

    select
        tenant_id,
        date,
        channel,
        {{ distinct_contacts_and_times() }}

    from unnested
    group by tenant_id, date, channel

),

-- Both have the same groups. No nested loop can do a full join, and it is what the planner, who takes the groups for
-- few, would do with any other.
final as (

    select
        tenant_id,
        date,
        channel,
        {{ rollup_columns() }}

    from counted
    full join distributed using (tenant_id, date, channel)

)

select * from final

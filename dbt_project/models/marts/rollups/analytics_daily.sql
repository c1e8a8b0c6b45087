{{ config(materialized='windowed') }}

with

activity as (

    select
        tenant_id,
        date,
        channel,
        event_type,
        is_machine,
        events,
        costs,
        cost,
        contact_ids,
        delivery_times_ms

    from {{ ref('int_activity_daily') }}
    where {{ in_window_days('date') }}

),

by_type as (

    select
        tenant_id,
        date,
        channel,
        event_type,
        {{ sums_of_a_type() }}

    from activity
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

-- One row per event, in the order of the groups: sorting the arrays before they are unnested costs a tenth of sorting
-- the events.
unnested as (

    select
        tenant_id,
        date,
        channel,
        event_type = 'message.opened' as is_open,
        event_type = 'link.clicked' as is_click,
        unnest(contact_ids) as contact_id,
        unnest(delivery_times_ms) as duration_ms

    from activity
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

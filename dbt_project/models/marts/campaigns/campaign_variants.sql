{{ config(materialized='by_campaign') }}

with

-- Contacts decide, not messages: who opened two of them opened once. Where an event names nobody, its message does.
activity as (

    select
        tenant_id,
        campaign_id,
        message_id,
        coalesce(contact_id, message_id) as recipient_id,
        variant,
        sent,
        opened,
        machine_opened,
        clicked,
        machine_clicked,
        converted,
        revenue

    from {{ ref('int_message_activity_daily') }}
    where {{ in_replaced_campaigns() }} and message_id is not null

),

messages as not materialized (

    select * from {{ ref('stg_iris__messages') }}
    where variant <> ''

),

-- Materialized, because the planner would look for each message of the activity instead of these few.
messages_of_no_campaign as materialized (

    select * from messages
    where campaign_id is null

),

-- What the platform says of messages; one that it knows no campaign of belongs to that of its events.
stated as (

    select
        tenant_id,
        campaign_id,
        message_id,
        variant

    from messages
    where {{ in_replaced_campaigns() }}
    union all
    select distinct
        activity.tenant_id,
        activity.campaign_id,
        messages_of_no_campaign.message_id,
        messages_of_no_campaign.variant

    from messages_of_no_campaign
    inner join activity
        on
            messages_of_no_campaign.tenant_id = activity.tenant_id
            and messages_of_no_campaign.message_id = activity.message_id

),

-- What the sending of a message said; what became of the message may have come on another day.
sendings as (

    select
        tenant_id,
        campaign_id,
        message_id,
        max(variant collate "C") as variant

    from activity
    where variant <> ''
    group by tenant_id, campaign_id, message_id

),

variants as (

    select
        tenant_id,
        campaign_id,
        message_id,
        coalesce(stated.variant, sendings.variant) as variant

    from stated
    full join sendings using (tenant_id, campaign_id, message_id)

),

by_recipient as (

    select
        activity.tenant_id,
        activity.campaign_id,
        variants.variant,
        activity.recipient_id,
        sum(activity.sent) as sent,
        sum(activity.opened) as opened,
        sum(activity.machine_opened) as machine_opened,
        sum(activity.clicked) as clicked,
        sum(activity.machine_clicked) as machine_clicked,
        sum(activity.converted) as converted,
        sum(activity.revenue) as revenue

    from activity
    inner join variants
        on
            activity.tenant_id = variants.tenant_id
            and activity.campaign_id = variants.campaign_id
            and activity.message_id = variants.message_id
    group by
        activity.tenant_id,
        activity.campaign_id,
        variants.variant,
        activity.recipient_id

),

by_variant as (

    select
        tenant_id,
        campaign_id,
        variant,
        sum(sent)::bigint as sent,
        count(*) filter (where opened > 0) as openers,
        count(*) filter (where clicked > 0) as clickers,
        count(*) filter (where converted > 0) as converters,
        count(*) filter (where opened > machine_opened) as human_openers,
        count(*) filter (where clicked > machine_clicked) as human_clickers,
        sum(revenue) as total_revenue

    from by_recipient
    group by tenant_id, campaign_id, variant

),

counted as (

    select
        by_variant.tenant_id,
        by_variant.campaign_id,
        by_variant.variant,
        by_metric.metric,
        by_variant.sent,
        by_metric.successes

    from by_variant
    cross join
        lateral (
            values
            ('open', by_variant.openers),
            ('click', by_variant.clickers),
            ('conversion', by_variant.converters),
            ('human_open', by_variant.human_openers),
            ('human_click', by_variant.human_clickers)
        ) as by_metric (metric, successes)

),

results as (

    {{ experiment_results('counted') }}

),

final as (

    select
        results.*,
        by_variant.total_revenue,
        now() as computed_at

    from results
    inner join by_variant
        on
            results.tenant_id = by_variant.tenant_id
            and results.campaign_id = by_variant.campaign_id
            and results.variant = by_variant.variant

)

select * from final

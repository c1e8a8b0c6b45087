{{ config(materialized='by_campaign') }}

with

-- Contacts decide, not messages: who opened two of them opened once. Where an event names nobody, its message does.
activity as (

    select
        tenant_id,
        campaign_id,
        message_id,
        coalesce(contact_id, message_id) as recipient_id,
        max(variant collate "C") as variant,
        sum(sent) as sent,
        sum(opened) as opened,
        sum(machine_opened) as machine_opened,
        sum(clicked) as clicked,
        sum(machine_clicked) as machine_clicked,
        sum(converted) as converted,
        sum(revenue) as revenue

    from {{ ref('int_message_activity_daily') }}
    where {{ in_replaced_campaigns() }} and message_id is not null
    group by 1, 2, 3, 4

),

messages as (

    select * from {{ ref('stg_iris__messages') }}

),

-- What the sending of a message said of its variant; what became of the message may have come on another day.
sendings as (

    select
        tenant_id,
        campaign_id,
        message_id,
        max(variant) as variant

    from activity
    group by tenant_id, campaign_id, message_id

),

variants as (

    select
        sendings.tenant_id,
        sendings.campaign_id,
        sendings.message_id,
        coalesce(nullif(messages.variant, ''), nullif(sendings.variant, '')) as variant

    from sendings
    left join messages
        on
            sendings.tenant_id = messages.tenant_id
            and sendings.message_id = messages.message_id
            and sendings.campaign_id = coalesce(messages.campaign_id, sendings.campaign_id)
    where coalesce(nullif(messages.variant, ''), nullif(sendings.variant, '')) is not null

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
    group by 1, 2, 3, 4

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

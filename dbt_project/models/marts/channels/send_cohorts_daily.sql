with

last_day as (

    select max(date) as date from {{ ref('int_channel_activity_daily') }}

),

-- Each receipt in three rows: one of its cohort, and two of the days that maturity comes from: it came after so many
-- days, and it belongs to a cohort that is so many days old. In one relation, so that all receipts are read once, and
-- those of one tenant only if one is asked for.
counted as (

    select
        receipts.tenant_id,
        receipts.channel,
        counts.provider,
        counts.sent_date,
        counts.days,
        counts.kind,
        counts.messages,
        counts.after,
        counts.of_age

    from (
        select
            *,
            (select last_day.date from last_day) - sent_date as age_days,
            case when kind in ('delivered', 'failed', 'opened', 'clicked', 'bounced') then messages else 0 end
                as receipts

        from {{ ref('int_send_receipts') }}
    ) as receipts
    cross join
        lateral (
            values
            (receipts.provider, receipts.sent_date, receipts.age_days, receipts.kind, receipts.messages, 0, 0),
            (null, null, receipts.lag_days, null, 0, receipts.receipts, 0),
            (null, null, receipts.age_days, null, 0, 0, receipts.receipts)
        ) as counts (provider, sent_date, days, kind, messages, after, of_age)

),

summed as (

    select
        tenant_id,
        channel,
        provider,
        sent_date,
        days,
        {{ messages_of('sent') }} as messages_sent,
        {{ messages_of('delivered') }} as messages_delivered,
        {{ messages_of('failed') }} as messages_failed,
        {{ messages_of('opened') }} as messages_opened,
        {{ messages_of('clicked') }} as messages_clicked,
        {{ messages_of('bounced') }} as messages_bounced,
        {{ messages_of('human_opened') }} as human_opened,
        {{ messages_of('human_clicked') }} as human_clicked,
        sum(after) as after,
        sum(of_age) as of_age

    from counted
    group by tenant_id, channel, provider, sent_date, days

),

-- The chain-ladder method: by how much receipts grow on the n-th day, in those cohorts that have lived to see it.
growing as (

    select
        *,
        sum(after - of_age) over (
            partition by tenant_id, channel order by days range between unbounded preceding and 1 preceding
        ) as before

    from summed

),

maturing as (

    select
        *,
        sum(case when after > 0 and before > 0 then ln(1 + (after / before)::float8) else 0 end) over (
            partition by tenant_id, channel order by days range between 1 following and unbounded following
        ) as still_to_grow

    from growing

),

final as (

    select
        tenant_id,
        sent_date,
        channel,
        provider,
        messages_sent,
        messages_delivered,
        messages_failed,
        messages_opened,
        messages_clicked,
        messages_bounced,
        human_opened,
        human_clicked,
        {{ rate('messages_delivered', 'messages_sent') }} as delivery_rate,
        {{ rate('messages_opened', 'messages_sent') }} as open_rate,
        {{ rate('messages_clicked', 'messages_sent') }} as click_rate,
        {{ rate('human_opened', 'messages_sent') }} as human_open_rate,
        {{ rate('human_clicked', 'messages_sent') }} as human_click_rate,
        round((100 * exp(-coalesce(still_to_grow, 0)))::numeric, 2) as maturity

    from maturing
    where sent_date is not null

)

select * from final

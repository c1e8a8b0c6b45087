with

last_day as (

    select max(date) as date from {{ ref('int_channel_activity_daily') }}

),

cohorts as (

    select
        tenant_id,
        sent_date,
        channel,
        provider,
        {{ messages_of('sent') }} as messages_sent,
        {{ messages_of('delivered') }} as messages_delivered,
        {{ messages_of('failed') }} as messages_failed,
        {{ messages_of('opened') }} as messages_opened,
        {{ messages_of('clicked') }} as messages_clicked,
        {{ messages_of('bounced') }} as messages_bounced,
        {{ messages_of('human_opened') }} as human_opened,
        {{ messages_of('human_clicked') }} as human_clicked

    from {{ ref('int_send_receipts') }}
    group by tenant_id, sent_date, channel, provider

),

-- How many receipts came after so many days, and how many belong to cohorts that are so many days old. Its own scan of
-- the receipts: a common one could not be limited to the tenant that is asked for.
by_days as (

    select
        receipts.tenant_id,
        receipts.channel,
        days.days,
        sum(days.after) as after,
        sum(days.of_age) as of_age

    from (
        select
            tenant_id,
            channel,
            lag_days,
            (select last_day.date from last_day) - sent_date as age_days,
            case when kind in ('delivered', 'failed', 'opened', 'clicked', 'bounced') then messages else 0 end
                as messages

        from {{ ref('int_send_receipts') }}
    ) as receipts
    cross join
        lateral (
            values (receipts.lag_days, receipts.messages, 0), (receipts.age_days, 0, receipts.messages)
        ) as days (days, after, of_age)
    group by receipts.tenant_id, receipts.channel, days.days

),

-- The chain-ladder method: by how much receipts grow on the n-th day, in those cohorts that have lived to see it.
growing as (

    select
        *,
        sum(after - of_age) over (
            partition by tenant_id, channel order by days rows between unbounded preceding and 1 preceding
        ) as before

    from by_days

),

maturing as (

    select
        tenant_id,
        channel,
        days as age_days,
        sum(case when after > 0 and before > 0 then ln(1 + (after / before)::float8) else 0 end) over (
            partition by tenant_id, channel order by days rows between 1 following and unbounded following
        ) as still_to_grow

    from growing

),

final as (

    select
        cohorts.tenant_id,
        cohorts.sent_date,
        cohorts.channel,
        cohorts.provider,
        cohorts.messages_sent,
        cohorts.messages_delivered,
        cohorts.messages_failed,
        cohorts.messages_opened,
        cohorts.messages_clicked,
        cohorts.messages_bounced,
        cohorts.human_opened,
        cohorts.human_clicked,
        {{ rate('cohorts.messages_delivered', 'cohorts.messages_sent') }} as delivery_rate,
        {{ rate('cohorts.messages_opened', 'cohorts.messages_sent') }} as open_rate,
        {{ rate('cohorts.messages_clicked', 'cohorts.messages_sent') }} as click_rate,
        {{ rate('cohorts.human_opened', 'cohorts.messages_sent') }} as human_open_rate,
        {{ rate('cohorts.human_clicked', 'cohorts.messages_sent') }} as human_click_rate,
        round((100 * exp(-coalesce(maturing.still_to_grow, 0)))::numeric, 2) as maturity

    from cohorts
    left join maturing
        on
            cohorts.tenant_id = maturing.tenant_id
            and cohorts.channel = maturing.channel
            and (select last_day.date from last_day) - cohorts.sent_date = maturing.age_days

)

select * from final

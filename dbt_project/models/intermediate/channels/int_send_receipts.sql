with

sent as (

    select
        tenant_id,
        date as sent_date,
        channel,
        provider,
        message_id

    from {{ ref('int_message_activity_daily') }}
    where sent > 0 and message_id is not null
    group by tenant_id, date, channel, provider, message_id

),

firsts as (

    select
        tenant_id,
        message_id,
        min(date) filter (where delivered > 0) as delivered_date,
        min(date) filter (where failed > 0) as failed_date,
        min(date) filter (where bounced > 0) as bounced_date,
        min(date) filter (where opened > 0) as opened_date,
        min(date) filter (where clicked > 0) as clicked_date,
        min(date) filter (where opened > machine_opened) as human_opened_date,
        min(date) filter (where clicked > machine_clicked) as human_clicked_date

    from {{ ref('int_message_activity_daily') }}
    where message_id is not null and delivered + failed + bounced + opened + clicked > 0
    group by tenant_id, message_id

),

-- Few messages differ in all of these dates, so there is little left to take apart below.
alike as (

    select
        sent.tenant_id,
        sent.sent_date,
        sent.channel,
        sent.provider,
        firsts.delivered_date,
        firsts.failed_date,
        firsts.bounced_date,
        firsts.opened_date,
        firsts.clicked_date,
        firsts.human_opened_date,
        firsts.human_clicked_date,
        count(*) as messages

    from sent
    left join firsts
        on
            sent.tenant_id = firsts.tenant_id
            and sent.message_id = firsts.message_id
    group by
        sent.tenant_id,
        sent.sent_date,
        sent.channel,
        sent.provider,
        firsts.delivered_date,
        firsts.failed_date,
        firsts.bounced_date,
        firsts.opened_date,
        firsts.clicked_date,
        firsts.human_opened_date,
        firsts.human_clicked_date

),

-- What is reported for a day before the sending counts as of the day of the sending.
final as (

    select
        alike.tenant_id,
        alike.sent_date,
        alike.channel,
        alike.provider,
        receipts.kind,
        greatest(receipts.date - alike.sent_date, 0) as lag_days,
        sum(alike.messages)::bigint as messages

    from alike
    cross join
        lateral (
            values
            ('sent', alike.sent_date),
            ('delivered', alike.delivered_date),
            ('failed', alike.failed_date),
            ('bounced', alike.bounced_date),
            ('opened', alike.opened_date),
            ('clicked', alike.clicked_date),
            ('human_opened', alike.human_opened_date),
            ('human_clicked', alike.human_clicked_date)
        ) as receipts (kind, date)
    where receipts.date is not null
    group by
        alike.tenant_id,
        alike.sent_date,
        alike.channel,
        alike.provider,
        receipts.kind,
        greatest(receipts.date - alike.sent_date, 0)

)

select * from final

with

sent as (

    select distinct
        tenant_id,
        date as sent_date,
        channel,
        provider,
        message_id

    from {{ ref('int_message_activity_daily') }}
    where sent > 0 and message_id is not null

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

-- What is reported for a day before the sending counts as of the day of the sending.
final as (

    select
        sent.tenant_id,
        sent.sent_date,
        sent.channel,
        sent.provider,
        receipts.kind,
        greatest(receipts.date - sent.sent_date, 0) as lag_days,
        count(*) as messages

    from sent
    left join firsts
        on
            sent.tenant_id = firsts.tenant_id
            and sent.message_id = firsts.message_id
    cross join
        lateral (
            values
            ('sent', sent.sent_date),
            ('delivered', firsts.delivered_date),
            ('failed', firsts.failed_date),
            ('bounced', firsts.bounced_date),
            ('opened', firsts.opened_date),
            ('clicked', firsts.clicked_date),
            ('human_opened', firsts.human_opened_date),
            ('human_clicked', firsts.human_clicked_date)
        ) as receipts (kind, date)
    where receipts.date is not null
    group by
        sent.tenant_id,
        sent.sent_date,
        sent.channel,
        sent.provider,
        receipts.kind,
        greatest(receipts.date - sent.sent_date, 0)

)

select * from final

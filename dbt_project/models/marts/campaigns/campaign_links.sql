{{ config(materialized='by_campaign') }}

with

visits as (

    select * from {{ ref('int_campaign_visits_daily') }}
    where {{ in_replaced_campaigns() }} and clicked > 0

),

-- One row per contact, so that who clicked on three days clicked once; those of nobody come together in one.
by_contact as (

    select
        tenant_id,
        campaign_id,
        url,
        contact_id,
        sum(clicked) as clicked,
        sum(machine_clicked) as machine_clicked

    from visits
    group by tenant_id, campaign_id, url, contact_id

),

final as (

    select
        tenant_id,
        campaign_id,
        url,
        sum(clicked)::bigint as clicks,
        count(contact_id) as unique_clicks,
        sum(clicked - machine_clicked)::bigint as human_clicks,
        count(contact_id) filter (where clicked > machine_clicked) as human_unique_clicks,
        now() as computed_at

    from by_contact
    group by tenant_id, campaign_id, url

)

select * from final

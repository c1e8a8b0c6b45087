with

levels as (

    select * from {{ ref('int_engagement_levels') }}

),

dates as (

    select distinct as_of_date from levels

),

contacts as (

    select
        tenant_id,
        contact_id,
        (created_at at time zone 'UTC')::date as known_date

    from {{ ref('stg_iris__contacts') }}

),

seen_contacts as (

    select
        tenant_id,
        contact_id,
        first_date as known_date

    from {{ ref('stg_iris__seen_contacts') }}

),

known_contacts as (

    select
        tenant_id,
        contact_id,
        min(known_date) as known_date

    from (
        select * from contacts
        union all
        select * from seen_contacts
    ) as sightings
    group by tenant_id, contact_id

),

known_by_day as (

    select
        tenant_id,
        known_date,
        count(*) as contacts

    from known_contacts
    group by tenant_id, known_date

),

known_by_date as (

    select
        known_by_day.tenant_id,
        dates.as_of_date,
        sum(known_by_day.contacts) as contacts

    from dates
    inner join known_by_day on dates.as_of_date >= known_by_day.known_date
    group by known_by_day.tenant_id, dates.as_of_date

),

-- Whoever is known and has no score had no event in the 90 days.
without_score as (

    select
        known_by_date.tenant_id,
        known_by_date.as_of_date,
        known_by_date.contacts - coalesce(sum(levels.contacts), 0) as contacts

    from known_by_date
    left join levels
        on known_by_date.tenant_id = levels.tenant_id and known_by_date.as_of_date = levels.as_of_date
    group by known_by_date.tenant_id, known_by_date.as_of_date, known_by_date.contacts

),

counted as (

    select
        tenant_id,
        as_of_date,
        engagement_level,
        contacts

    from levels
    union all
    select
        tenant_id,
        as_of_date,
        'inactive' as engagement_level,
        contacts

    from without_score

),

final as (

    select
        tenant_id,
        as_of_date,
        engagement_level,
        sum(contacts)::bigint as contacts

    from counted
    group by tenant_id, as_of_date, engagement_level
    having sum(contacts) > 0

)

select * from final

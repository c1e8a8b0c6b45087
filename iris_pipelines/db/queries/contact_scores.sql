-- name: scores_can_be_written(closed_before)$
-- Whether the scores of all days before an instant are there and equal the events.
select
    to_regclass('analytics.engagement_scores') is not null
    and not exists (
        select
        from iris.stale_hours
        where
            consumer in (
                'analytics_intermediate.int_contact_points_daily',
                'analytics_intermediate.int_engagement_parts'
            )
            and hour < :closed_before
    );

-- name: scores_are_due(closed_before)$
-- Whether something happened that the scores of contacts do not show yet, on a day that is over.
select count(*) > 0
from iris.stale_hours
where consumer = 'iris.contacts' and hour < :closed_before;

-- name: lock_contact_scores()$
-- One at a time writes them, until the end of the transaction.
select pg_advisory_xact_lock(hashtext('iris.contacts'));

-- name: take_days_of_scores(closed_before)
-- The days that were replaced since scores were written last.
with taken as (
    delete from iris.stale_hours
    where consumer = 'iris.contacts' and hour < :closed_before
    returning hour
)

select distinct (taken.hour at time zone 'UTC')::date as day
from taken;

-- name: write_contact_scores(as_of, days)!
-- Each contact's score as of a day, and the time of its latest event that earns points; rows that have both already
-- are not touched. A contact without a score has 0, and its time is looked up only if something may have moved it.
with replaced as (
    select distinct
        points.tenant_id,
        points.contact_id
    from analytics_intermediate.int_contact_points_daily as points
    where points.date = any(:days::date[])
),

due as (
    select
        contacts.tenant_id,
        contacts.id,
        coalesce(scores.engagement_score, 0) as engagement_score,
        case
            when scores.contact_id is not null then scores.last_engagement_at
            when
                replaced.contact_id is not null
                or contacts.engagement_score <> 0
                or (contacts.last_engagement_at at time zone 'UTC')::date = any(:days::date[])
                or (contacts.last_engagement_at is null and date '2000-01-01' = any(:days::date[]))
                then
                    (
                        select max(points.last_engagement_at)
                        from analytics_intermediate.int_contact_points_daily as points
                        where
                            points.tenant_id = contacts.tenant_id
                            and points.contact_id = contacts.id
                            and points.date <= :as_of::date
                    )
            else contacts.last_engagement_at
        end as last_engagement_at
    from iris.contacts as contacts
    left join analytics.engagement_scores as scores
        on
            contacts.tenant_id = scores.tenant_id
            and contacts.id = scores.contact_id
            and scores.as_of_date = :as_of::date
    left join replaced
        on contacts.tenant_id = replaced.tenant_id and contacts.id = replaced.contact_id
)

update iris.contacts as contacts
set
    engagement_score = due.engagement_score,
    last_engagement_at = due.last_engagement_at
from due
where
    contacts.tenant_id = due.tenant_id
    and contacts.id = due.id
    and (contacts.engagement_score, contacts.last_engagement_at)
    is distinct from (due.engagement_score, due.last_engagement_at);

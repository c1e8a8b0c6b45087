-- Contacts and their scores know which days had a messaging event: made anew, as those of new consumers.

drop table if exists analytics_intermediate.int_contact_points_daily;
drop table if exists analytics_intermediate.int_engagement_parts cascade;

delete from iris.stale_hours
where
    consumer in (
        'analytics_intermediate.int_contact_points_daily', 'analytics_intermediate.int_engagement_parts'
    );

delete from iris.event_consumers
where
    consumer in (
        'analytics_intermediate.int_contact_points_daily', 'analytics_intermediate.int_engagement_parts'
    );

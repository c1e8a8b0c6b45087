-- Facts that have another shape now: their tables are made anew, and computed anew as those of new consumers.

drop table if exists analytics_intermediate.int_delivery_times_daily;
drop table if exists analytics_intermediate.int_engagement_parts cascade;

delete from iris.stale_hours
where
    consumer in (
        'analytics_intermediate.int_delivery_times_daily', 'analytics_intermediate.int_engagement_parts'
    );

delete from iris.event_consumers
where
    consumer in (
        'analytics_intermediate.int_delivery_times_daily', 'analytics_intermediate.int_engagement_parts'
    );

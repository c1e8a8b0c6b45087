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

create view iris.enabled_alert_rules as
select checked.*
from iris.alert_rules as rules
inner join iris.checked_alert_rules as checked
    on
        rules.tenant_id = checked.tenant_id
        and rules.id = checked.rule_id
where rules.enabled;
comment on view iris.enabled_alert_rules is 'What the enabled rules ask, as they were read last.';

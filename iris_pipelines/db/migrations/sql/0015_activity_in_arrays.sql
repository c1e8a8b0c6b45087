-- analytics_intermediate.int_message_activity_daily is a view now, on the table int_activity_daily. Nothing is lost: the
-- table is made anew from the events, as that of every new model is.

delete from iris.stale_hours
where consumer = 'analytics_intermediate.int_message_activity_daily';
delete from iris.event_consumers
where consumer = 'analytics_intermediate.int_message_activity_daily';

do $$
begin
    if exists (
        select from pg_class
        where oid = to_regclass('analytics_intermediate.int_message_activity_daily') and relkind = 'r'
    ) then
        drop table analytics_intermediate.int_message_activity_daily cascade;
    end if;
end
$$;

-- name: note_run_failure(message, data)!
-- One alert a run, however often it is noted.
insert into iris.system_alerts (alert_type, severity, message, data)
values ('run_failure', 'critical', :message, :data)
on conflict ((data ->> 'run_id')) where alert_type = 'run_failure' do nothing;

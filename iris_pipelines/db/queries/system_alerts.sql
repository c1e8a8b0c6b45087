-- name: note_run_failure(message, data, actions)$
-- One alert a run, however often it is noted: its id when it is new.
insert into iris.system_alerts (alert_type, severity, message, data, actions)
values ('run_failure', 'critical', :message, :data, :actions)
on conflict ((data ->> 'run_id')) where alert_type = 'run_failure' do nothing
returning id;

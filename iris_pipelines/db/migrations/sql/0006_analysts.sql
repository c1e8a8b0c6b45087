-- Who reads the marts in SQL and BI: the role iris_analyst, which may look at the schema analytics and at nothing else.

create schema if not exists analytics;

-- A role belongs to the whole server: another database may have made it already, or be making it now.
do $$
begin
    create role iris_analyst nologin;
exception
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then
        if to_regrole('iris_analyst') is null then
            raise warning 'the role iris_analyst is missing, and % may not create roles', current_user
            using hint = 'have an administrator run `create role iris_analyst`, then run `select iris.grant_analyst()`';
        end if;
end
$$;

-- Also what dbt makes later: tables and views get these privileges as they are made, by whoever runs this.
create function iris.grant_analyst() returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
    grant usage on schema analytics to iris_analyst;
    grant select on all tables in schema analytics to iris_analyst;
    alter default privileges in schema analytics grant select on tables to iris_analyst;
end
$$;
comment on function iris.grant_analyst() is
'Lets the role iris_analyst read the schema analytics, what is in it and what the caller will make there. '
'Run by the migration; again by hand where the role did not exist yet.';
revoke all on function iris.grant_analyst() from public;

do $$
begin
    if to_regrole('iris_analyst') is not null then
        perform iris.grant_analyst();
    end if;
end
$$;

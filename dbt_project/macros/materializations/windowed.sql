{# A table of which a run replaces windows: any set of them, each in a transaction of its own.

   An incremental strategy replaces one range in one statement. Here the windows may be scattered over years, a month in
   one statement would spill to disk, and a run that is killed must leave each window as it was or as it is to be.

   Config (under `meta`): `window_column` and its `grain`, hour (timestamptz) or day (date); `reach_days` where a row
   depends on so many days before its own, and is built when its day is over. The grain of the rows is the contract's
   primary key. `kept` names a macro that says for a day, as a condition, whether its rows are kept: others are not made, and
   are removed when their time is over. With `partitioned`, each day's rows are a table of their own: there is no index to
   keep up, and rows are removed by dropping them. A column's meta may name its `storage`: `external` for arrays that no
   compression makes smaller.
   `--full-refresh` changes nothing: history that was archived could not be built again. #}
{% materialization windowed, adapter='postgres' %}

    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set consumer = this.schema ~ '.' ~ this.identifier -%}
    {%- set window_column = config.meta_require('window_column') -%}
    {%- set grain = config.meta_require('grain') -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% do prepare_session() %}
    {#- In this order: a model may read its own rows. -#}
    {% do prepare_target(target_relation, consumer) %}
    {% do get_assert_columns_equivalent(sql) %}
    {% call statement('prepare_insert') %}
        {{ prepare_insert_sql(target_relation, consumer, sql) }}
    {% endcall %}
    {% set windows = windows_to_replace(target_relation, window_column, grain) %}
    {% do adapter.commit() %}

    {% set counts = [] %}
    {% for window in windows if window['is_kept'] %}
        {% set response, result = adapter.execute(
            replace_window_sql(target_relation, consumer, window_column, grain, window), auto_begin=True, fetch=True
        ) %}
        {% do adapter.commit() %}
        {% do counts.append(result.rows[0][0] | int) %}
    {% endfor %}

    {% call noop_statement('main', counts | sum ~ ' rows in ' ~ counts | length ~ ' windows', 'INSERT', counts | sum) %}
        {{ sql }}
    {% endcall %}

    {% call statement('deallocate_insert') %}
        deallocate insert_window
    {% endcall %}
    {% if 'kept' in model_meta() %}
        {% call statement('forget_days') %}
            {{ forget_days_sql(target_relation, consumer, window_column) }}
        {% endcall %}
    {% endif %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}


{# What holds for the session, which ends with the model. Each statement must see what was committed before it, each
   window must be planned for its own partition, and a setting that this server does not know is left out. #}
{% macro prepare_session() %}
    {% call statement('prepare_session') %}
        select set_config(wanted.name, wanted.value, false)
        from (
            values
            ('default_transaction_isolation', 'read committed'),
            ('TimeZone', 'UTC'),
            ('plan_cache_mode', 'force_custom_plan'),
            -- Hashing events and sorting what comes out is two to three times cheaper than sorting events, which the
            -- planner prefers when it takes aggregates with arrays for larger than they are.
            ('enable_sort', 'off'),
            ('enable_incremental_sort', 'off'),
            ('enable_presorted_aggregate', 'off'),
            ('jit', 'off'),
            ('work_mem', '256MB'),
            ('hash_mem_multiplier', '8')
        ) as wanted (name, value)
        where current_setting(wanted.name, true) is not null
    {% endcall %}
    {% do adapter.commit() %}
{% endmacro %}


{# dbt commits by a statement that psycopg2 does not notice: it takes the transaction to be open still, and begins no
   other. What follows would be a transaction statement by statement, and a lock would be gone as soon as it was taken. #}
{% macro begin_sql() -%}
    begin;
{%- endmacro %}


{# Makes the table, or the columns that it lacks, and its indexes, grants and comments. #}
{% macro prepare_target(relation, consumer) %}
    {% call statement('begin_target') %}
        {{ begin_sql() }}
        select pg_advisory_xact_lock(hashtext('{{ consumer }}'))
    {% endcall %}
    {% set described = described_columns(relation) %}
    {% if not described %}
        {% call statement('create_target') %}
            create table if not exists {{ relation }} {{ get_table_columns_and_constraints() }}
            {%- if is_partitioned() %} partition by list ({{ config.meta_require('window_column') }}){% endif %}
        {% endcall %}
        {% do create_indexes(relation) %}
        {% do apply_grants(relation, config.get('grants'), should_revoke=False) %}
    {% else %}
        {% for column in model.columns.values() if column.name not in described %}
            {% call statement('append_column') %}
                alter table {{ relation }} add column if not exists {{ column.name }} {{ column.data_type }}
            {% endcall %}
        {% endfor %}
        {% do apply_grants(relation, config.get('grants'), should_revoke=True) %}
    {% endif %}
    {% for column in model.columns.values() if described.get(column.name) != column.description %}
        {% if loop.first %}{% do persist_docs(relation, model) %}{% endif %}
    {% endfor %}
    {% for column in model.columns.values() if column.name not in described and 'storage' in column.meta %}
        {% call statement('store_column') %}
            alter table {{ relation }} alter column {{ column.name }} set storage {{ column.meta['storage'] }}
        {% endcall %}
    {% endfor %}
    {% do adapter.commit() %}
{% endmacro %}


{# The columns that a table has, each with its comment; nothing if there is no such table. #}
{% macro described_columns(relation) %}
    {% set query %}
        select attribute.attname::text as name, col_description(attribute.attrelid, attribute.attnum) as description
        from pg_attribute as attribute
        where attribute.attrelid = to_regclass('{{ relation }}') and attribute.attnum > 0 and not attribute.attisdropped
    {% endset %}
    {% set columns = {} %}
    {% for row in run_query(query).rows %}
        {% do columns.update({row['name']: row['description']}) %}
    {% endfor %}
    {{ return(columns) }}
{% endmacro %}


{# The model as a prepared statement of one window's bounds, which inserts its rows and says how many. #}
{% macro prepare_insert_sql(relation, consumer, sql) %}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set range = run_range() -%}
    prepare insert_window (timestamptz, timestamptz) as
    with inserted as (
        insert into {{ relation }} ({{ columns }})
        select {{ columns }}
        from (
            {{
                sql
                | replace(date_of_event(), first_day(['$1', '$2']))
                | replace(range[0], '$1')
                | replace(range[1], '$2')
            }}
        ) as model
        returning {{ 'tenant_id, campaign_id' if 'campaign_id' in model.columns else '1' }}
    ){% if 'campaign_id' in model.columns %},
    noted_campaigns as (
        insert into iris.stale_campaigns (consumer, tenant_id, campaign_id)
        {{ campaigns_for_consumers('inserted', consumer) }}
    ){% endif %}{% if rebuild_id() is not none %},
    noted as (
        insert into iris.rebuilt_windows (rebuild_id, relation, window_start, window_end, row_count)
        select '{{ rebuild_id() }}', '{{ consumer }}', $1, $2, count(*) from inserted
        on conflict (rebuild_id, relation, window_start) do update
        set window_end = excluded.window_end, row_count = excluded.row_count, rebuilt_at = clock_timestamp()
        returning row_count
    )
    select row_count from noted
    {%- else %}
    select count(*) from inserted
    {%- endif %}
{% endmacro %}


{# What the model's configuration says under `meta`. #}
{% macro model_meta() -%}
    {{ return(config.get('meta', {})) }}
{%- endmacro %}


{# Whether the rows of each day are a table of their own. #}
{% macro is_partitioned() -%}
    {{ return(model_meta().get('partitioned', false)) }}
{%- endmacro %}


{# The condition under which the rows of a day are kept. #}
{% macro day_is_kept(day) -%}
    {{ context[model_meta()['kept']](day) if 'kept' in model_meta() else 'true' }}
{%- endmacro %}


{# Whether the rows are made from events, which an archived day has no more. #}
{% macro reads_events() -%}
    {{ return('model.iris.stg_iris__events' in model.depends_on.nodes) }}
{%- endmacro %}


{# One window: wait for whoever replaces this day, take its stale hours off the list, and only then read the events.
   What made these hours stale was committed before the statement that reads; what comes later is listed anew. #}
{% macro replace_window_sql(relation, consumer, window_column, grain, window) -%}
    {%- set starts = "timestamptz '" ~ window['starts'] ~ "'" -%}
    {%- set ends = "timestamptz '" ~ window['ends'] ~ "'" -%}
    {{ begin_sql() }}
    select pg_advisory_xact_lock(hashtext('{{ consumer }}'), {{ window['day_number'] }});
    {% if reads_events() %}select iris.hold_events({{ starts }});{% endif %}
    delete from iris.stale_hours where consumer = '{{ consumer }}' and hour >= {{ starts }} and hour < {{ ends }};
    {{ note_what_stands_on_it(consumer, starts) }}
    {{ note_campaigns_of_window(relation, consumer, window_column, grain, starts, ends) }}
    {% if is_partitioned() %}select iris.hold_day_partition('{{ relation }}', {{ first_day([starts, ends]) }});{% endif %}
    delete from {{ relation }} where {{ rows_in_window(window_column, grain, starts, ends) }};
    execute insert_window ({{ starts }}, {{ ends }})
{%- endmacro %}


{# Of days that are not kept, no rows are held and none are made. What made them stale is settled when their rows are
   gone: a partition that somebody reads stays until next time. #}
{% macro forget_days_sql(relation, consumer, window_column) -%}
    {{ begin_sql() }}
    {% if is_partitioned() %}
    select iris.drop_day_partition('{{ relation }}', days.day)
    from iris.day_partitions('{{ relation }}') as days (day)
    where not {{ day_is_kept('days.day') }};
    {% else %}
    delete from {{ relation }} where not {{ day_is_kept(window_column) }};
    {% endif %}
    delete from iris.stale_hours as stale
    where
        stale.consumer = '{{ consumer }}'
        and not {{ day_is_kept("(stale.hour at time zone 'UTC')::date") }}
        {% if is_partitioned() -%}
        and (stale.hour at time zone 'UTC')::date not in (select iris.day_partitions('{{ relation }}'))
        {%- endif %}
{%- endmacro %}


{# The days of other models that a replaced window makes stale: its own, and as far as they reach. #}
{% macro note_what_stands_on_it(consumer, starts) -%}
    insert into iris.stale_hours (consumer, hour)
    select consumers.consumer, {{ floor_to('24 hours', starts) }} + make_interval(days => ahead.days)
    from iris.event_consumers as consumers
    cross join generate_series(0, consumers.reach_days) as ahead (days)
    where '{{ consumer }}' = any(consumers.inputs) and consumers.grain <> 'campaign';
{%- endmacro %}


{# The campaigns that a window held before it is replaced; those that it holds then are noted by the insert. #}
{% macro note_campaigns_of_window(relation, consumer, window_column, grain, starts, ends) -%}
    {%- if 'campaign_id' in model.columns -%}
    insert into iris.stale_campaigns (consumer, tenant_id, campaign_id)
    {{ campaigns_for_consumers(relation, consumer, rows_in_window(window_column, grain, starts, ends)) }};
    {%- endif -%}
{%- endmacro %}


{# Every consumer of campaigns that stands on this relation, with the campaigns of the rows that meet a condition: these
   are brought together first, as there are many rows and few campaigns. #}
{% macro campaigns_for_consumers(rows, consumer, condition='true') -%}
    select consumers.consumer, held.tenant_id, held.campaign_id
    from (
        select distinct tenant_id, campaign_id from {{ rows }} where campaign_id is not null and {{ condition }}
    ) as held
    inner join iris.event_consumers as consumers
        on consumers.grain = 'campaign' and '{{ consumer }}' = any(consumers.inputs)
{%- endmacro %}

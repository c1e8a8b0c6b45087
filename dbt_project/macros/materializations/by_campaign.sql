{# A table of which a run replaces whole campaigns: those that are noted as stale for it in iris.stale_campaigns.

   A replaced window of an input notes the campaigns that it held and that it holds, and a trigger those whose name or
   variants changed. Without IRIS_REBUILD_ID, as when an analyst calls `dbt build`, with IRIS_REBUILD_EVERY_CAMPAIGN, as
   when somebody materializes the asset, and when the table is new, every campaign is replaced. The model says with `in_replaced_campaigns` where the campaigns go. #}
{% materialization by_campaign, adapter='postgres' %}

    {%- set target_relation = this.incorporate(type='table') -%}
    {%- set consumer = this.schema ~ '.' ~ this.identifier -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% do prepare_session() %}
    {% do get_assert_columns_equivalent(sql) %}
    {% set is_new = not described_columns(target_relation) %}
    {% do prepare_target(target_relation, consumer) %}
    {% set response, result = adapter.execute(
        replace_campaigns_sql(target_relation, consumer, sql, is_new or rebuilds_every_campaign()), auto_begin=True, fetch=True
    ) %}
    {% set campaigns = result.rows[0]['campaigns'] | int %}
    {% set rows = result.rows[0]['rows'] | int %}

    {% call noop_statement('main', rows ~ ' rows of ' ~ campaigns ~ ' campaigns', 'INSERT', rows) %}
        {{ sql }}
    {% endcall %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}


{# Which rows belong to the campaigns that a run replaces. The compiled model covers every campaign and runs as it stands;
   the materialization `by_campaign` puts the campaigns of the run in the place of the comment. #}
{% macro in_replaced_campaigns(tenant_id='tenant_id', campaign_id='campaign_id') -%}
    {{ campaign_id }} is not null /* of the replaced campaigns: {{ tenant_id }}, {{ campaign_id }} */
{%- endmacro %}


{# All in one transaction: wait for whoever replaces campaigns here, take them off the list, and only then read. What made
   them stale was committed before the statement that reads; what comes later is listed anew. #}
{% macro replace_campaigns_sql(relation, consumer, sql, replace_all) -%}
    {%- set columns = model.columns.keys() | join(', ') -%}
    {%- set of_replaced = modules.re.sub(
        '/\\* of the replaced campaigns: (\\S+), (\\S+) \\*/',
        'and (\\1, \\2) in (select tenant_id, campaign_id from replaced_campaigns)',
        sql
    ) -%}
    {{ begin_sql() }}
    select pg_advisory_xact_lock(hashtext('{{ consumer }}'));
    create temporary table replaced_campaigns (
        tenant_id uuid not null, campaign_id uuid not null, primary key (tenant_id, campaign_id)
    ) on commit drop;
    with taken as (
        delete from iris.stale_campaigns where consumer = '{{ consumer }}' returning tenant_id, campaign_id
    )
    insert into replaced_campaigns
    select tenant_id, campaign_id from taken
    {%- if replace_all %}
    union
    select tenant_id, campaign_id from {{ relation }}
    {%- for input in campaign_inputs() %}
    union
    select tenant_id, campaign_id from {{ input }} where campaign_id is not null
    {%- endfor %}
    {%- else %}
    group by tenant_id, campaign_id
    {%- endif %};
    analyze replaced_campaigns;
    delete from {{ relation }} as held using replaced_campaigns as replaced
    where held.tenant_id = replaced.tenant_id and held.campaign_id = replaced.campaign_id;
    with inserted as (
        insert into {{ relation }} ({{ columns }})
        select {{ columns }}
        from (
            {{ of_replaced }}
        ) as model
        returning 1
    ),
    counted as (
        select (select count(*) from replaced_campaigns) as campaigns, (select count(*) from inserted) as rows
    ){% if rebuild_id() is not none %},
    noted as (
        insert into iris.rebuilt_campaigns (rebuild_id, relation, campaign_count, row_count)
        select '{{ rebuild_id() }}', '{{ consumer }}', campaigns, rows from counted
        on conflict (rebuild_id, relation) do update
        set campaign_count = excluded.campaign_count, row_count = excluded.row_count, rebuilt_at = clock_timestamp()
    ){% endif %}
    select campaigns, rows from counted
{%- endmacro %}


{# Whether this run replaces every campaign, and not only those that are stale. Read under `execute`, as all of it. #}
{% macro rebuilds_every_campaign() -%}
    {{ return(rebuild_id() is none or env_var('IRIS_REBUILD_EVERY_CAMPAIGN', '') != '') }}
{%- endmacro %}


{# The windowed models with campaigns that this model reads, also through views. #}
{% macro campaign_inputs(node=model) -%}
    {%- set found = [] -%}
    {%- for id in node.depends_on.nodes if id in graph.nodes and 'campaign_id' in graph.nodes[id].columns -%}
        {%- if graph.nodes[id].config.materialized == 'windowed' -%}
            {%- do found.append(graph.nodes[id].relation_name) -%}
        {%- elif graph.nodes[id].config.materialized == 'view' -%}
            {%- do found.extend(campaign_inputs(graph.nodes[id])) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}

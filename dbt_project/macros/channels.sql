{# What the marts of channels, providers and costs share. #}


{# The types of event that messaging metrics are about; other well-formed types count in row existence and cost only. #}
{% macro messaging_types() -%}
    {{ return([
        'message.queued',
        'message.sending',
        'message.sent',
        'message.delivered',
        'message.failed',
        'message.opened',
        'link.clicked',
        'call.answered',
        'conversion',
        'email.hard_bounce',
        'email.soft_bounce',
        'email.complaint',
        'message.unsubscribed',
    ]) }}
{%- endmacro %}


{# Whether messaging metrics are about events of this type. #}
{% macro is_messaging(event_type) -%}
    {{ event_type }} in (
        {%- for type in messaging_types() %}
            '{{ type }}'{{ "," if not loop.last }}
        {%- endfor %}
        )
{%- endmacro %}


{# The mean of whole milliseconds from their sum and count, rounded half away from zero; NULL when there are none. #}
{% macro mean_ms(total, count) -%}
    round(({{ total }})::numeric / nullif({{ count }}, 0))::bigint
{%- endmacro %}


{# The mean of costs from their sum and count, with 6 decimals; NULL when there are none. #}
{% macro mean_cost(total, count) -%}
    round({{ total }} / nullif({{ count }}, 0), 6)
{%- endmacro %}


{# A provider's words for a failure, 'unknown' where it has none; cut off where an index would end. #}
{% macro error_words(column, length) -%}
    coalesce(nullif(left({{ column }}, {{ length }}), ''), 'unknown')
{%- endmacro %}


{# How many messages of a cohort have had a receipt of this kind. #}
{% macro messages_of(kind) -%}
    coalesce(sum(messages) filter (where kind = '{{ kind }}'), 0)::bigint
{%- endmacro %}

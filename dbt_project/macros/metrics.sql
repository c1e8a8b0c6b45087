{# Formulas that several models share. #}


{# A percentage with 2 decimals, rounded half away from zero; NULL when there is nothing to divide by. #}
{% macro rate(numerator, denominator) -%}
    round(100.0 * {{ numerator }} / nullif({{ denominator }}, 0), 2)
{%- endmacro %}


{# A time in whole milliseconds, rounded half away from zero. In double precision, the longest times that a bigint holds
   read as more than it does. #}
{% macro whole_ms(milliseconds) -%}
    case
        when {{ milliseconds }}::numeric between -9223372036854775808 and 9223372036854775807
            then round({{ milliseconds }}::numeric)::bigint
        when {{ milliseconds }} > 0 then 9223372036854775807
        when {{ milliseconds }} < 0 then -9223372036854775808
    end
{%- endmacro %}


{# What a conversion was worth: event_data.value, if that is a number or reads like one. #}
{% macro revenue(event_data) -%}
    case
        when {{ event_data }} ->> 'value' ~ '^-?[0-9]+([.][0-9]+)?$' then ({{ event_data }} ->> 'value')::numeric
    end
{%- endmacro %}


{# The points that each type of event earns a contact; the others earn none. #}
{% macro points() -%}
    {{ return({
        'message.delivered': 1,
        'message.opened': 5,
        'link.clicked': 10,
        'call.answered': 15,
        'conversion': 50,
    }) }}
{%- endmacro %}


{# Whether an event of this type earns points. #}
{% macro earns_points(event_type) -%}
    {{ event_type }} in ('{{ points().keys() | join("', '") }}')
{%- endmacro %}

{{ config(post_hook="{{ create_engagement_as_of() }}") }}

select
    {{ engagement_columns() }}

from {{ ref('int_engagement_parts') }} as parts

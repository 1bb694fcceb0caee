-- From version 2: a paused invocation says who paused it.

alter table invocation add column paused_by text;
update invocation
    set paused_by = case when modified_at > coalesce(json_extract(cast(last_failure as text), '$.at_ms'), 0)
        then 'operator' else 'failure' end
    where status = 'paused';

-- From version 4: what has ended takes its timers with it.

create index timer_invocation on timer (invocation);
delete from timer where not exists (
    select 1 from invocation where invocation.number = timer.invocation and invocation.status <> 'completed'
);

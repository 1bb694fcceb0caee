-- From version 4: what has ended takes its timers with it, and signals are found in long journals.

create index journal_signal on journal (invocation) where type = 0xFBFF;
create index timer_invocation on timer (invocation);
delete from timer where not exists (
    select 1 from invocation where invocation.number = timer.invocation and invocation.status <> 'completed'
);

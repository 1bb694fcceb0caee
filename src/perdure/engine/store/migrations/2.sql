-- From version 1: operations on running invocations, scopes, settings, retention.

alter table invocation add column scope text not null default '';
alter table invocation add column limit_key text;
alter table invocation add column priority integer not null default 0;
alter table invocation add column caller_target text;
alter table invocation add column restarted_from text;
alter table invocation add column schedule_id text;
alter table invocation add column created_by text;
alter table invocation add column inboxed_at integer;
alter table invocation add column running_at integer;
alter table invocation add column retention integer not null default 0;
alter table invocation add column journal_retention integer not null default 0;
alter table invocation add column expires_at integer;

-- What ended before there were retentions is kept for the default of a day from now on.
update invocation set retention = 86400000, journal_retention = 86400000;
update invocation set expires_at = completed_at + 86400000 where status = 'completed';

drop index invocation_keyed;
create index invocation_keyed on invocation (scope, service, key, place)
    where handler_type = 'EXCLUSIVE' and status in ('pending', 'ready', 'suspended', 'paused');
create index invocation_called on invocation (caller_id) where caller_id is not null and status <> 'completed';
create index invocation_pinned on invocation (deployment_id) where status <> 'completed';
create index invocation_expiring on invocation (expires_at) where expires_at is not null;

create table event (
    invocation   integer not null,
    at           integer not null,
    after_index  integer not null,
    type         text not null,
    record       blob not null,
    primary key (invocation, at, type)
) strict, without rowid;
create trigger event_bound after insert on event begin
    delete from event where invocation = new.invocation
        and at < (select at from event where invocation = new.invocation order by at desc limit 1 offset 99);
end;

alter table state rename to old_state;
create table state (
    scope    text not null,
    service  text not null,
    key      text not null,
    name     blob not null,
    value    blob not null,
    primary key (scope, service, key, name)
) strict, without rowid;
insert into state select '', service, key, name, value from old_state;
drop table old_state;

alter table promise rename to old_promise;
create table promise (
    scope    text not null,
    service  text not null,
    key      text not null,
    name     text not null,
    result   blob,
    waiters  blob not null,
    expires_at integer,
    primary key (scope, service, key, name)
) strict, without rowid;
insert into promise select '', service, key, name, result, waiters, null from old_promise;
drop table old_promise;
create index promise_expiring on promise (expires_at) where expires_at is not null;

create table mutation (
    place    integer primary key,
    scope    text not null,
    service  text not null,
    key      text not null,
    record   blob not null
) strict;
create index mutation_keyed on mutation (scope, service, key);

create table setting (
    kind    text not null,
    name    text not null,
    record  blob not null,
    primary key (kind, name)
) strict, without rowid;

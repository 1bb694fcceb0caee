-- The store of one engine. `number` orders invocations by arrival; journals are keyed by it, so that they grow at
-- the end of the file. Times are milliseconds since the epoch, scopes '' where there is none. Change the schema here and
-- by a numbered migration, which brings older stores to the same; a test compares the two.

create table invocation (
    number            integer primary key,
    id                text not null unique,
    service           text not null,
    key               text,
    handler           text not null,
    service_type      text not null,
    handler_type      text,
    status            text not null,
    created_at        integer not null,
    modified_at       integer not null,
    completed_at      integer,
    execute_at        integer not null,
    place             integer not null,  -- its place among those that wait for its key
    idempotency_key   text,
    caller_id         text,
    deployment_id     text,
    protocol_version  integer not null,
    awaiting          blob,     -- protobuf Future: what is left of what it waits for
    waiters           blob,     -- json: the handlers that wait for it
    output            blob,     -- protobuf OutputCommandMessage
    last_failure      blob,     -- json
    scope             text not null default '',
    limit_key         text,
    priority          integer not null default 0,
    caller_target     text,
    restarted_from    text,     -- the invocation that this one restarts
    schedule_id       text,     -- the schedule that began it
    created_by        text,     -- the version of perdure
    inboxed_at        integer,  -- when it began to wait for its key
    running_at        integer,  -- when it first ran; known late, with the next change of the row
    retention         integer not null default 0,  -- how long it is kept when it has ended
    journal_retention integer not null default 0,
    expires_at        integer,  -- when it has ended: the next time at which something of it is to be purged
    paused_by         text,     -- operator or failure, while it is paused
    seeded_by         text      -- the invocation from which its random numbers are, where not from its own id
) strict;

-- What recovery asks for, who holds a key or waits for it, what was called by whom and runs where: small, since completed
-- invocations leave them. And what is to be purged, in order.
create index invocation_ready on invocation (number) where status = 'ready';
create index invocation_keyed on invocation (scope, service, key, place)
    where handler_type = 'EXCLUSIVE' and status in ('pending', 'ready', 'suspended', 'paused');
create index invocation_called on invocation (caller_id) where caller_id is not null and status <> 'completed';
create index invocation_pinned on invocation (deployment_id) where status <> 'completed';
create index invocation_expiring on invocation (expires_at) where expires_at is not null;

create table journal (
    invocation   integer not null,
    idx          integer not null,
    type         integer not null,  -- the protocol's type code
    payload      blob not null,     -- the message's own bytes
    appended_at  integer not null,
    primary key (invocation, idx)
) strict, without rowid;
create index journal_signal on journal (invocation) where type = 0xFBFF;  -- whether an awakeable was completed before

create table event (
    invocation   integer not null,
    at           integer not null,
    after_index  integer not null,  -- the last journal entry then
    type         text not null,     -- TransientError, Paused
    record       blob not null,     -- json
    primary key (invocation, at, type)
) strict, without rowid;
-- An invocation that fails for weeks keeps the newest of its failures.
create trigger event_bound after insert on event begin
    delete from event where invocation = new.invocation
        and at < (select at from event where invocation = new.invocation order by at desc limit 1 offset 99);
end;

create table timer (
    due         integer not null,
    invocation  integer not null,
    completion  integer not null,   -- 0: the invocation's start; 2^32: its end by force; else the completion to give it
    primary key (due, invocation, completion)
) strict, without rowid;
create index timer_invocation on timer (invocation);  -- what has ended takes its timers with it

create table state (
    scope    text not null,
    service  text not null,
    key      text not null,
    name     blob not null,
    value    blob not null,
    primary key (scope, service, key, name)
) strict, without rowid;

create table promise (
    scope    text not null,
    service  text not null,
    key      text not null,
    name     text not null,
    result   blob,                  -- protobuf NotificationMessage with value or failure; null while open
    waiters  blob not null,         -- json, as in invocation
    expires_at integer,             -- completed in advance: when it is purged, if its workflow has not come by then
    primary key (scope, service, key, name)
) strict, without rowid;
create index promise_expiring on promise (expires_at) where expires_at is not null;

create table mutation (
    place    integer primary key,   -- its place among the invocations that wait for the same key
    scope    text not null,
    service  text not null,
    key      text not null,
    record   blob not null          -- json: what the state is to become
) strict;
create index mutation_keyed on mutation (scope, service, key);

create table deployment (
    position  integer primary key,  -- order of registration
    id        text not null unique,
    record    blob not null         -- json
) strict;

create table setting (
    kind    text not null,          -- rule, schedule, schedule-progress, service, revision, promotion, last
    name    text not null,
    record  blob not null,          -- json
    primary key (kind, name)
) strict, without rowid;

-- The store of one engine. `number` orders invocations by arrival; journals are keyed by it, so that they grow at
-- the end of the file. Times are milliseconds since the epoch. Change the schema only by a numbered migration.

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
    last_failure      blob      -- json
) strict;

-- What recovery asks for, and who holds a key or waits for it: small, since completed invocations leave them.
create index invocation_ready on invocation (number) where status = 'ready';
create index invocation_keyed on invocation (service, key, place)
    where handler_type = 'EXCLUSIVE' and status in ('pending', 'ready', 'suspended', 'paused');

create table journal (
    invocation   integer not null,
    idx          integer not null,
    type         integer not null,  -- the protocol's type code
    payload      blob not null,     -- the message's own bytes
    appended_at  integer not null,
    primary key (invocation, idx)
) strict, without rowid;

create table timer (
    due         integer not null,
    invocation  integer not null,
    completion  integer not null,   -- 0: the invocation's start; else the completion to give it
    primary key (due, invocation, completion)
) strict, without rowid;

create table state (
    service  text not null,
    key      text not null,
    name     blob not null,
    value    blob not null,
    primary key (service, key, name)
) strict, without rowid;

create table promise (
    service  text not null,
    key      text not null,
    name     text not null,
    result   blob,                  -- protobuf NotificationMessage with value or failure; null while open
    waiters  blob not null,         -- json, as in invocation
    primary key (service, key, name)
) strict, without rowid;

create table deployment (
    position  integer primary key,  -- order of registration
    id        text not null unique,
    record    blob not null         -- json
) strict;

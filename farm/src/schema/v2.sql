-- Local only: what devices prove themselves with. It belongs to this appliance and is never replicated.

CREATE TABLE device_credential (
    device BLOB PRIMARY KEY,
    -- What the device says of itself when it joins; NULL if it never did.
    serial TEXT,
    secret_hash BLOB,
    secret_at INTEGER,
    -- In clear: the edge computes with it.
    frame_key BLOB,
    frame_key_at INTEGER,
    revoked_at INTEGER,
    -- Counts what must end open connections: a new secret, a revocation.
    generation INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX device_credential_serial ON device_credential (serial) WHERE serial IS NOT NULL;

CREATE TABLE device_certificate (
    fingerprint BLOB PRIMARY KEY,
    device BLOB NOT NULL,
    serial TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    issued_at INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX device_certificate_device ON device_certificate (device);

-- Devices that ask to join. A request dies with the boot in which it was made.
CREATE TABLE join_request (
    id INTEGER PRIMARY KEY,
    serial TEXT NOT NULL,
    kind TEXT NOT NULL,
    model TEXT NOT NULL,
    firmware TEXT NOT NULL,
    public BLOB NOT NULL,
    proof BLOB NOT NULL,
    peer TEXT NOT NULL,
    asked_at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    -- Set by an approval: the device it became and what it is told, sealed.
    device BLOB,
    answer BLOB,
    UNIQUE (serial, public)
) STRICT;

-- This appliance's half of every joining key, and what it tells each device that joined (JSON).
CREATE TABLE join_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    secret BLOB NOT NULL,
    welcome TEXT
) STRICT;

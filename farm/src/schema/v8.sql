-- Local only: when each device last logged in at the MQTT door. It belongs to this appliance and is never replicated.

CREATE TABLE device_login (
    device BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    -- Address, what carried the connection, and what the device came with.
    peer TEXT NOT NULL,
    carrier TEXT NOT NULL,
    proof TEXT NOT NULL
) STRICT, WITHOUT ROWID;

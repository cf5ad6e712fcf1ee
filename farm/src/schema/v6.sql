-- Local only: firmware of this appliance's own nodes. The images' bytes are files in the data folder, named by their hash.

CREATE TABLE firmware_image (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What the file was called when it came.
    file TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    -- Why it was refused; NULL for one that may be offered. A refused one has no bytes, and what follows if it could be read.
    refused TEXT,
    header BLOB,
    hash BLOB,
    version TEXT,
    hardware TEXT,
    channel TEXT,
    size INTEGER,
    -- The trusted key that signed it, as a line of PEM.
    signer TEXT
) STRICT;

CREATE TABLE firmware_rollout (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    image INTEGER NOT NULL,
    -- The share of all devices that fit, in percent; NULL when they were named.
    percent INTEGER,
    phase TEXT NOT NULL,
    -- The device and the end that paused it; NULL when a person did.
    stopped_by BLOB,
    stopped_why TEXT,
    started_at INTEGER NOT NULL
) STRICT;

CREATE TABLE firmware_update (
    rollout INTEGER NOT NULL,
    device BLOB NOT NULL,
    position INTEGER NOT NULL,
    -- NULL until it is offered.
    state TEXT,
    have INTEGER NOT NULL DEFAULT 0,
    changed_at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    ran_ms INTEGER NOT NULL DEFAULT 0,
    settled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (rollout, device)
) STRICT, WITHOUT ROWID;
CREATE INDEX firmware_update_device ON firmware_update (device);

-- What each device said that it runs, and the channel that it belongs to.
CREATE TABLE device_firmware (
    device BLOB PRIMARY KEY,
    hardware TEXT,
    version TEXT,
    greeted_at INTEGER,
    channel TEXT NOT NULL DEFAULT 'stable'
) STRICT, WITHOUT ROWID;

-- Local only: what is wanted of nodes that send sealed frames. It belongs to this appliance and is never replicated.

CREATE TABLE node_settings (
    device BLOB PRIMARY KEY,
    -- Grows with each change, and above whatever the node says that it has.
    version INTEGER NOT NULL,
    -- JSON: seconds by the name of the setting; what is not named is as the node was made.
    settings TEXT NOT NULL,
    wanted_at INTEGER NOT NULL,
    -- What the node said of this version, as a code of the frame protocol, and when; NULL until it did.
    outcome INTEGER,
    answered_at INTEGER,
    -- Settings of this version that the node does not know.
    unknown INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE node_command (
    device BLOB NOT NULL,
    id INTEGER NOT NULL,
    deed TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    -- When: wall time and how well it was known, and the clock that never jumps.
    asked_at INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    -- What became of it, as a code of the frame protocol, and when the node said so; NULL until then.
    outcome INTEGER,
    answered_at INTEGER,
    PRIMARY KEY (device, id)
) STRICT, WITHOUT ROWID;

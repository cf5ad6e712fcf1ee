-- Local only: what is known of nodes that send sealed frames. It belongs to this appliance and is never replicated.

CREATE TABLE node (
    device BLOB PRIMARY KEY,
    -- What was seen of its frames and batches, in the form that the edge keeps it in: JSON.
    state TEXT NOT NULL,
    heard_at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    -- Batches in its flash when it was last heard, and how many were dropped there before they could be sent.
    waiting INTEGER NOT NULL,
    lost INTEGER NOT NULL,
    -- From its newest greeting; NULL until the first.
    firmware TEXT,
    hardware TEXT,
    reset INTEGER
) STRICT, WITHOUT ROWID;

-- A frame names its device by the last eight bytes.
CREATE INDEX device_credential_node ON device_credential (substr(device, 9)) WHERE frame_key IS NOT NULL;

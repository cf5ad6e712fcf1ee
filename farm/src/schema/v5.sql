-- MQTT sessions that outlive their connection. State of this appliance alone: never replicated.

CREATE TABLE mqtt_session (
    n INTEGER PRIMARY KEY,
    client TEXT NOT NULL UNIQUE,
    user TEXT,
    -- Seconds it lasts after its connection; 0 ends it with the connection.
    expiry INTEGER NOT NULL,
    -- When its connection ended; none while it is connected.
    left_at INTEGER,
    -- No letter above this one has been sent to it.
    sent_to INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE mqtt_subscription (
    session INTEGER NOT NULL,
    filter TEXT NOT NULL,
    qos INTEGER NOT NULL,
    no_local INTEGER NOT NULL,
    retain_as_published INTEGER NOT NULL,
    -- Which retained values it is sent at once: 0 all, 1 if it is new, 2 none.
    retained INTEGER NOT NULL,
    id INTEGER,
    PRIMARY KEY (session, filter)
) STRICT, WITHOUT ROWID;

-- A message that waits for one session or more; it goes with its last delivery.
CREATE TABLE mqtt_letter (
    n INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    -- As MQTT 5 writes them; none when there are none.
    properties BLOB,
    expires_at INTEGER
) STRICT;

CREATE TABLE mqtt_delivery (
    session INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    letter INTEGER NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    -- Identifiers of subscriptions, four bytes each, the low one first; none when there are none.
    ids BLOB,
    received INTEGER NOT NULL,
    PRIMARY KEY (session, pid)
) STRICT, WITHOUT ROWID;

CREATE INDEX mqtt_delivery_letter ON mqtt_delivery (letter);

-- Packet identifiers of QoS 2 publishes that the client may still send again.
CREATE TABLE mqtt_accepted (
    session INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    PRIMARY KEY (session, pid)
) STRICT, WITHOUT ROWID;

ALTER TABLE mqtt_retained ADD COLUMN properties BLOB;
ALTER TABLE mqtt_retained ADD COLUMN expires_at INTEGER;

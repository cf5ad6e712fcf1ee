-- Spans that outlive a restart are counted by the clock that never jumps, and by the wall where it was trusted at both ends.

-- Milliseconds for which appliances have had this file open, in all.
ALTER TABLE local ADD COLUMN ran INTEGER NOT NULL DEFAULT 0;

-- A client identifier belongs to its user: another one may have the same.
CREATE TABLE mqtt_session_of_user (
    n INTEGER PRIMARY KEY,
    client TEXT NOT NULL,
    user TEXT,
    -- Seconds it lasts after its connection; 0 ends it with the connection.
    expiry INTEGER NOT NULL,
    -- When its connection ended: the file's running time, none while it is connected; and the wall time if it was trusted.
    left_ran INTEGER,
    left_wall INTEGER,
    -- No letter above this one has been sent to it.
    sent_to INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Nobody knows whether the clock by which it left was right: its time begins again.
INSERT INTO mqtt_session_of_user (n, client, user, expiry, left_ran, sent_to)
SELECT n, client, user, expiry, iif(left_at IS NULL, NULL, 0), sent_to FROM mqtt_session;
DROP TABLE mqtt_session;
ALTER TABLE mqtt_session_of_user RENAME TO mqtt_session;
CREATE INDEX mqtt_session_client ON mqtt_session (client);

-- Seconds for which a message is worth delivering, from when on.
ALTER TABLE mqtt_letter ADD COLUMN expiry INTEGER;
ALTER TABLE mqtt_letter ADD COLUMN ran INTEGER;
ALTER TABLE mqtt_letter ADD COLUMN wall INTEGER;
UPDATE mqtt_letter
SET expiry = max(0, (expires_at - (SELECT last_wall FROM local)) / 1000), ran = 0
WHERE expires_at IS NOT NULL;
ALTER TABLE mqtt_letter DROP COLUMN expires_at;

ALTER TABLE mqtt_retained ADD COLUMN expiry INTEGER;
ALTER TABLE mqtt_retained ADD COLUMN ran INTEGER;
ALTER TABLE mqtt_retained ADD COLUMN wall INTEGER;
UPDATE mqtt_retained
SET expiry = max(0, (expires_at - (SELECT last_wall FROM local)) / 1000), ran = 0
WHERE expires_at IS NOT NULL;
ALTER TABLE mqtt_retained DROP COLUMN expires_at;

-- Frames of nodes and requests are not retained; what was kept of them is told to nobody any more.
DELETE FROM mqtt_retained WHERE topic LIKE 'khamar/%';

-- A farm as version 9 wrote it: two cows, a tag, an owner, milkings with a correction and an undone voiding, events with a struck one.
PRAGMA application_id = 1802005874;
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN TRANSACTION;
CREATE TABLE animal (
    id BLOB PRIMARY KEY NOT NULL,
    number TEXT,
    name TEXT,
    name_en TEXT,
    sex TEXT,
    breed TEXT,
    birth_date TEXT,
    herd_group TEXT,
    status TEXT,
    dam BLOB,
    sire TEXT,
    note TEXT,
    merged_into BLOB,
    created_at INTEGER
) STRICT;
INSERT INTO animal VALUES(X'01a1fc20e1667749828e1e3bf42b2459','101',NULL,NULL,'female',NULL,NULL,NULL,'lactating',NULL,NULL,NULL,NULL,1795140000000);
INSERT INTO animal VALUES(X'01a1fc20e16e744d84e9d414e6ce890c','102',NULL,NULL,'female',NULL,NULL,NULL,'lactating',NULL,NULL,NULL,NULL,1795140000000);
CREATE TABLE animal_tag (
    id BLOB PRIMARY KEY NOT NULL,
    animal BLOB,
    tag TEXT,
    from_at INTEGER,
    until_at INTEGER
) STRICT;
INSERT INTO animal_tag VALUES(X'01a1fc20e17277e0b7148fcd52fc9c38',X'01a1fc20e1667749828e1e3bf42b2459','050000000000217',1795140000000,NULL);
CREATE TABLE place (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT,
    slug TEXT,
    name TEXT,
    details TEXT
) STRICT;
INSERT INTO place VALUES(X'01a1fc20e212731e823793179503ae16','tank','tank','Tank','{"capacity_l":null,"max_temperature":null,"min_temperature":null,"alarm_after_min":null,"max_methane":null,"distance_to_level":[]}');
CREATE TABLE device (
    id BLOB PRIMARY KEY NOT NULL,
    slug TEXT,
    name TEXT,
    kind TEXT,
    link TEXT,
    place BLOB,
    expect_every_s INTEGER,
    enabled INTEGER DEFAULT 1,
    created_at INTEGER
) STRICT;
CREATE TABLE staff (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT,
    role TEXT,
    pin TEXT,
    active INTEGER DEFAULT 1,
    created_at INTEGER
) STRICT;
INSERT INTO staff VALUES(X'01a1fc20e1ca7403bf190f39a75b9b45','Rahim','owner','$argon2id$v=19$m=19456,t=2,p=1$AuHDQX9Mu/bipsNcFeMaSg$NupiwAD3cEv/NnzhlxaPz/SLJbNgi7KxH5yuhmWumvQ',1,1795140000000);
CREATE TABLE session_plan (
    id BLOB PRIMARY KEY NOT NULL,
    number INTEGER,
    name TEXT,
    starts_min INTEGER,
    ends_min INTEGER,
    active INTEGER DEFAULT 1
) STRICT;
INSERT INTO session_plan VALUES(X'01a1fc20e20a72a3af9542f3cfdeeb9d',1,'সকাল',240,600,1);
INSERT INTO session_plan VALUES(X'01a1fc20e20a72a3af9542f47e6a55a2',2,'বিকাল',900,1260,1);
CREATE TABLE setting (
    id BLOB PRIMARY KEY NOT NULL,
    key TEXT,
    value TEXT
) STRICT;
INSERT INTO setting VALUES(X'9b020b76c6485c38914980569a4e4735','target_ml','900000');
CREATE TABLE alert (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT,
    subject TEXT,
    severity INTEGER DEFAULT 1,
    raised_at INTEGER,
    detail TEXT,
    acknowledged_at INTEGER,
    acknowledged_by TEXT,
    closed_at INTEGER,
    closed_by TEXT,
    outcome TEXT
) STRICT;
INSERT INTO alert VALUES(X'01a1fc20e1de7333906f3dc131225380','milked_twice','visit:78285123-8ba9-5878-8f94-faa41c4065c2',1,1795140180000,'{"animal":"01a1fc20-e166-7749-828e-1e3bf42b2459","destination":"tank","stall":1,"yield_ml":8200}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO alert VALUES(X'01a1fc20e1e271fd8ef271a5164bb77c','unidentified','visit:8bd87a9d-7399-5136-bdf8-44e35f5f51cd',1,1795140240000,'{"animal":null,"destination":"tank","stall":1,"yield_ml":8300}',NULL,NULL,NULL,NULL,NULL);
INSERT INTO alert VALUES(X'01a1fc20e212731e823793182d54bf93','health','animal:01a1fc20-e16e-744d-84e9-d414e6ce890c',1,1795140420000,'{"symptom":"lame"}',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE milking (
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    visit BLOB NOT NULL,
    at INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    actor TEXT NOT NULL,
    body TEXT,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO milking VALUES(0,5,0,X'07cceb8c4dec5106b1b7a46cc55ba2bc',1795140060000,3,1,70000,'staff:01a1fc20-e1ca-7403-bf19-0f39a75b9b45','{"fact":"recorded","visit":{"start":[1795140000000,3,1,10000],"end":[1795140000000,3,1,10000],"day":20777,"no":1,"stall":1,"animal":"01a1fc20-e166-7749-828e-1e3bf42b2459","ml":8000,"avg":2000,"peak":3000,"to":0,"found":0}}');
INSERT INTO milking VALUES(0,6,0,X'fa8d1b92a3e65c7dad673ebb348876b5',1795140120000,3,1,130000,'staff:01a1fc20-e1ca-7403-bf19-0f39a75b9b45','{"fact":"recorded","visit":{"start":[1795140060000,3,1,70000],"end":[1795140060000,3,1,70000],"day":20777,"no":1,"stall":1,"animal":"01a1fc20-e16e-744d-84e9-d414e6ce890c","ml":8100,"avg":2000,"peak":3000,"to":0,"found":0,"meter":"01a1fc20-e1da-71b3-a819-414368303bdc"}}');
INSERT INTO milking VALUES(0,7,0,X'782851238ba958788f94faa41c4065c2',1795140180000,3,1,190000,'staff:01a1fc20-e1ca-7403-bf19-0f39a75b9b45','{"fact":"recorded","visit":{"start":[1795140120000,3,1,130000],"end":[1795140120000,3,1,130000],"day":20777,"no":1,"stall":1,"animal":"01a1fc20-e166-7749-828e-1e3bf42b2459","ml":8200,"avg":2000,"peak":3000,"to":0,"found":16}}');
INSERT INTO milking VALUES(0,8,0,X'8bd87a9d73995136bdf844e35f5f51cd',1795140240000,3,1,250000,'staff:01a1fc20-e1ca-7403-bf19-0f39a75b9b45','{"fact":"recorded","visit":{"start":[1795140180000,3,1,190000],"end":[1795140180000,3,1,190000],"day":20777,"no":1,"stall":1,"ml":8300,"avg":2000,"peak":3000,"to":0,"found":1}}');
INSERT INTO milking VALUES(0,9,2,X'07cceb8c4dec5106b1b7a46cc55ba2bc',1795140300000,3,1,310000,'system','{"fact":"corrected","yield_ml":7000,"destination":"tank"}');
INSERT INTO milking VALUES(0,11,3,X'fa8d1b92a3e65c7dad673ebb348876b5',1795140360000,3,1,370000,'system','{"fact":"voided"}');
INSERT INTO milking VALUES(0,13,4,X'fa8d1b92a3e65c7dad673ebb348876b5',1795140420000,3,1,430000,'system','{"fact":"undone","of":{"site":0,"seq":11}}');
CREATE TABLE animal_event (
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    animal BLOB NOT NULL,
    kind TEXT NOT NULL,
    happened_at INTEGER NOT NULL,
    at INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    actor TEXT NOT NULL,
    body TEXT,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO animal_event VALUES(0,15,X'01a1fc20e1667749828e1e3bf42b2459','treatment',1795140420000,1795140420000,3,1,430000,'system','{"kind":"treatment","medicine":"penicillin","dose":"10 ml","reason":"mastitis","milk_hold_h":72,"meat_hold_h":240}');
INSERT INTO animal_event VALUES(0,16,X'01a1fc20e16e744d84e9d414e6ce890c','heat',1795140420000,1795140420000,3,1,430000,'system','{"kind":"heat"}');
INSERT INTO animal_event VALUES(0,17,X'01a1fc20e16e744d84e9d414e6ce890c','void',1795140420000,1795140420000,3,1,430000,'system','{"kind":"void","of":{"site":0,"seq":16}}');
INSERT INTO animal_event VALUES(0,18,X'01a1fc20e16e744d84e9d414e6ce890c','calving',1790834400000,1795140420000,3,1,430000,'system','{"kind":"calving","lactation":2,"live":0,"born":0}');
CREATE TABLE audit (
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT,
    detail TEXT,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO audit VALUES(0,1,1795140000000,3,'system','animal.register','01a1fc20-e166-7749-828e-1e3bf42b2459',NULL);
INSERT INTO audit VALUES(0,2,1795140000000,3,'system','animal.register','01a1fc20-e16e-744d-84e9-d414e6ce890c',NULL);
INSERT INTO audit VALUES(0,3,1795140000000,3,'system','animal.tag','01a1fc20-e166-7749-828e-1e3bf42b2459','{"tag":"050000000000217"}');
INSERT INTO audit VALUES(0,4,1795140000000,3,'system','staff.add','01a1fc20-e1ca-7403-bf19-0f39a75b9b45',NULL);
INSERT INTO audit VALUES(0,10,1795140300000,3,'system','milking.correct','07cceb8c-4dec-5106-b1b7-a46cc55ba2bc',NULL);
INSERT INTO audit VALUES(0,12,1795140360000,3,'system','milking.void','fa8d1b92-a3e6-5c7d-ad67-3ebb348876b5',NULL);
INSERT INTO audit VALUES(0,14,1795140420000,3,'system','milking.undo','fa8d1b92-a3e6-5c7d-ad67-3ebb348876b5',NULL);
INSERT INTO audit VALUES(0,19,1795140420000,3,'system','plan','',NULL);
INSERT INTO audit VALUES(0,20,1795140420000,3,'system','setting','target_ml','{"value":"900000"}');
INSERT INTO audit VALUES(0,21,1795140420000,3,'system','place.add','01a1fc20-e212-731e-8237-93179503ae16',NULL);
CREATE TABLE site (
    ordinal INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;
INSERT INTO site VALUES(0,X'01a1fc20e15d73908f43e388df481ab9');
CREATE TABLE local (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    last_wall INTEGER NOT NULL,
    -- The latest moment that a trusted clock has shown.
    trusted_wall INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO local VALUES(1,1,1795140420000,1795140420000,1795140000000);
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    quantity INTEGER NOT NULL,
    UNIQUE (device, quantity)
) STRICT;
CREATE TABLE reading_log (
    seq INTEGER PRIMARY KEY,
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    value INTEGER,
    quality INTEGER NOT NULL,
    flaw INTEGER,
    clock INTEGER NOT NULL,
    raw BLOB
) STRICT;
CREATE TABLE compaction (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL
) STRICT;
INSERT INTO compaction VALUES(1,0);
CREATE TABLE reading (
    series INTEGER NOT NULL,
    at INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    value INTEGER,
    quality INTEGER NOT NULL,
    flaw INTEGER,
    clock INTEGER NOT NULL,
    raw BLOB,
    PRIMARY KEY (series, at, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup (
    series INTEGER NOT NULL,
    period INTEGER NOT NULL,
    at INTEGER NOT NULL,
    n INTEGER NOT NULL,
    min INTEGER,
    max INTEGER,
    sum INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    PRIMARY KEY (series, period, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE device_state (
    device BLOB PRIMARY KEY,
    heard_at INTEGER,
    heard_boot INTEGER,
    heard_mono INTEGER,
    last_tag TEXT,
    last_tag_at INTEGER
, every_s INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE excursion (
    series INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL
) STRICT;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL
) STRICT;
CREATE TABLE reject_count (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
) STRICT, WITHOUT ROWID;
CREATE TABLE dedupe (
    n INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE stall_state (
    stall INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE TABLE login_session (
    token BLOB PRIMARY KEY,
    staff BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    agent TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE login_attempt (
    subject TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE api_token (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE mqtt_retained (
    topic TEXT PRIMARY KEY,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    at INTEGER NOT NULL
, properties BLOB, expires_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE visit (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    animal BLOB,
    start INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    day INTEGER NOT NULL,
    session INTEGER NOT NULL,
    stall INTEGER,
    yield_ml INTEGER NOT NULL,
    avg_flow INTEGER,
    peak_flow INTEGER,
    conductivity INTEGER,
    fat INTEGER,
    snf INTEGER,
    destination INTEGER NOT NULL,
    findings INTEGER NOT NULL,
    tag TEXT,
    clock INTEGER NOT NULL,
    meter BLOB,
    staff BLOB,
    voided INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO visit VALUES(1,X'07cceb8c4dec5106b1b7a46cc55ba2bc',0,5,X'01a1fc20e1667749828e1e3bf42b2459',1795140000000,1795140000000,20777,1,1,7000,2000,3000,NULL,NULL,NULL,0,0,NULL,3,NULL,NULL,0);
INSERT INTO visit VALUES(2,X'fa8d1b92a3e65c7dad673ebb348876b5',0,6,X'01a1fc20e16e744d84e9d414e6ce890c',1795140060000,1795140060000,20777,1,1,8100,2000,3000,NULL,NULL,NULL,0,0,NULL,3,X'01a1fc20e1da71b3a819414368303bdc',NULL,0);
INSERT INTO visit VALUES(3,X'782851238ba958788f94faa41c4065c2',0,7,X'01a1fc20e1667749828e1e3bf42b2459',1795140120000,1795140120000,20777,1,1,8200,2000,3000,NULL,NULL,NULL,0,16,NULL,3,NULL,NULL,0);
INSERT INTO visit VALUES(4,X'8bd87a9d73995136bdf844e35f5f51cd',0,8,NULL,1795140180000,1795140180000,20777,1,1,8300,2000,3000,NULL,NULL,NULL,0,1,NULL,3,NULL,NULL,0);
CREATE TABLE animal_day (
    animal BLOB NOT NULL,
    day INTEGER NOT NULL,
    n INTEGER NOT NULL,
    yield_ml INTEGER NOT NULL,
    PRIMARY KEY (animal, day)
) STRICT, WITHOUT ROWID;
INSERT INTO animal_day VALUES(X'01a1fc20e1667749828e1e3bf42b2459',20777,2,15200);
INSERT INTO animal_day VALUES(X'01a1fc20e16e744d84e9d414e6ce890c',20777,1,8100);
CREATE TABLE herd_day (
    day INTEGER NOT NULL,
    session INTEGER NOT NULL,
    n INTEGER NOT NULL,
    cows INTEGER NOT NULL,
    yield_ml INTEGER NOT NULL,
    tank_ml INTEGER NOT NULL,
    withheld_ml INTEGER NOT NULL,
    discarded_ml INTEGER NOT NULL,
    PRIMARY KEY (day, session)
) STRICT, WITHOUT ROWID;
INSERT INTO herd_day VALUES(20777,0,4,2,31600,31600,0,0);
INSERT INTO herd_day VALUES(20777,1,4,0,31600,31600,0,0);
CREATE TABLE animal_state (
    animal BLOB PRIMARY KEY,
    calved_day INTEGER,
    lactation INTEGER,
    dried_day INTEGER,
    heat_day INTEGER,
    served_day INTEGER,
    pregnant INTEGER,
    due_day INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO animal_state VALUES(X'01a1fc20e1667749828e1e3bf42b2459',NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO animal_state VALUES(X'01a1fc20e16e744d84e9d414e6ce890c',20727,2,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE hold (
    animal BLOB NOT NULL,
    product TEXT NOT NULL,
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    from_at INTEGER NOT NULL,
    until_at INTEGER NOT NULL,
    -- How well the clock was known that `from_at` was read from, and its monotonic truth.
    clock INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL,
    medicine TEXT,
    PRIMARY KEY (animal, product, site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO hold VALUES(X'01a1fc20e1667749828e1e3bf42b2459','meat',0,15,1795140420000,1796004420000,3,1,430000,'penicillin');
INSERT INTO hold VALUES(X'01a1fc20e1667749828e1e3bf42b2459','milk',0,15,1795140420000,1795399620000,3,1,430000,'penicillin');
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
CREATE TABLE join_key (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    secret BLOB NOT NULL,
    welcome TEXT
) STRICT;
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
CREATE TABLE mqtt_accepted (
    session INTEGER NOT NULL,
    pid INTEGER NOT NULL,
    PRIMARY KEY (session, pid)
) STRICT, WITHOUT ROWID;
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
CREATE TABLE device_firmware (
    device BLOB PRIMARY KEY,
    hardware TEXT,
    version TEXT,
    greeted_at INTEGER,
    channel TEXT NOT NULL DEFAULT 'stable'
) STRICT, WITHOUT ROWID;
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
CREATE TABLE device_login (
    device BLOB PRIMARY KEY,
    at INTEGER NOT NULL,
    -- Address, what carried the connection, and what the device came with.
    peer TEXT NOT NULL,
    carrier TEXT NOT NULL,
    proof TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
DELETE FROM sqlite_sequence;
CREATE INDEX animal_number ON animal (number);
CREATE INDEX animal_merged ON animal (merged_into) WHERE merged_into IS NOT NULL;
CREATE INDEX animal_tag_tag ON animal_tag (tag);
CREATE INDEX animal_tag_animal ON animal_tag (animal);
CREATE INDEX alert_open ON alert (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX alert_raised ON alert (raised_at);
CREATE INDEX milking_visit ON milking (visit);
CREATE INDEX animal_event_animal ON animal_event (animal, happened_at);
CREATE INDEX login_session_staff ON login_session (staff);
CREATE UNIQUE INDEX visit_id ON visit (id);
CREATE INDEX visit_animal ON visit (animal, start);
CREATE INDEX visit_day ON visit (day, session, animal);
CREATE INDEX visit_start ON visit (start);
CREATE INDEX visit_unidentified ON visit (start) WHERE animal IS NULL AND voided = 0;
CREATE INDEX visit_kept_out ON visit (start) WHERE destination <> 0 AND voided = 0;
CREATE INDEX device_credential_serial ON device_credential (serial) WHERE serial IS NOT NULL;
CREATE INDEX device_certificate_device ON device_certificate (device);
CREATE INDEX mqtt_delivery_letter ON mqtt_delivery (letter);
CREATE INDEX firmware_update_device ON firmware_update (device);
CREATE INDEX device_credential_node ON device_credential (substr(device, 9)) WHERE frame_key IS NOT NULL;
COMMIT;
PRAGMA user_version = 9;

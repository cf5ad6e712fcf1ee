-- A farm as version 1 wrote it: one cow, her treatment, one milking and its correction.
PRAGMA application_id = 1802005874;
PRAGMA auto_vacuum = INCREMENTAL;
BEGIN TRANSACTION;
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
INSERT INTO "alert" VALUES(X'01A1FAE9005973A8A2451D122501895D','withdrawal','animal:01a1fae9-004f-739c-804e-3c122b18db12',2,1795140000000,'{"animal":"01a1fae9-004f-739c-804e-3c122b18db12","destination":"withheld","stall":null,"yield_ml":8000}',NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "animal" VALUES(X'01A1FAE9004F739C804E3C122B18DB12','105','লালী',NULL,'female',NULL,NULL,NULL,'lactating',NULL,NULL,NULL,NULL,1795140000000);
CREATE TABLE animal_day (
    animal BLOB NOT NULL,
    day INTEGER NOT NULL,
    n INTEGER NOT NULL,
    yield_ml INTEGER NOT NULL,
    PRIMARY KEY (animal, day)
) STRICT, WITHOUT ROWID;
INSERT INTO "animal_day" VALUES(X'01A1FAE9004F739C804E3C122B18DB12',20777,1,8250);
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
INSERT INTO "animal_event" VALUES(0,2,X'01A1FAE9004F739C804E3C122B18DB12','calving',1785564000000,1795140000000,3,1,0,'command-line','{"kind":"calving","lactation":2,"live":0,"born":0}');
INSERT INTO "animal_event" VALUES(0,4,X'01A1FAE9004F739C804E3C122B18DB12','treatment',1795140000000,1795140000000,3,1,0,'command-line','{"kind":"treatment","medicine":"amoxicillin","dose":"20 ml","reason":"mastitis","milk_hold_h":72,"meat_hold_h":240}');
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
INSERT INTO "animal_state" VALUES(X'01A1FAE9004F739C804E3C122B18DB12',20666,2,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE animal_tag (
    id BLOB PRIMARY KEY NOT NULL,
    animal BLOB,
    tag TEXT,
    from_at INTEGER,
    until_at INTEGER
) STRICT;
INSERT INTO "animal_tag" VALUES(X'01A1FAE9004F739C804E3C136FF93836',X'01A1FAE9004F739C804E3C122B18DB12','050000000000105',1795140000000,NULL);
CREATE TABLE api_token (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
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
INSERT INTO "audit" VALUES(0,1,1795140000000,3,'command-line','animal.tag','01a1fae9-004f-739c-804e-3c122b18db12','{"tag":"050000000000105"}');
INSERT INTO "audit" VALUES(0,3,1795140000000,3,'command-line','animal.register','01a1fae9-004f-739c-804e-3c122b18db12',NULL);
INSERT INTO "audit" VALUES(0,7,1795140000000,3,'command-line','milking.correct','1b7c7717-c3b1-5ff8-9c7e-3c2da9a1c801',NULL);
CREATE TABLE compaction (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL
) STRICT;
INSERT INTO "compaction" VALUES(1,0);
CREATE TABLE dedupe (
    n INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE
) STRICT;
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
CREATE TABLE device_state (
    device BLOB PRIMARY KEY,
    heard_at INTEGER,
    heard_boot INTEGER,
    heard_mono INTEGER,
    last_tag TEXT,
    last_tag_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE excursion (
    series INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL
) STRICT;
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
INSERT INTO "herd_day" VALUES(20777,0,1,1,8250,0,8250,0);
INSERT INTO "herd_day" VALUES(20777,1,1,0,8250,0,8250,0);
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
INSERT INTO "hold" VALUES(X'01A1FAE9004F739C804E3C122B18DB12','meat',0,4,1795140000000,1796004000000,3,1,0,'amoxicillin');
INSERT INTO "hold" VALUES(X'01A1FAE9004F739C804E3C122B18DB12','milk',0,4,1795140000000,1795399200000,3,1,0,'amoxicillin');
CREATE TABLE local (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    last_wall INTEGER NOT NULL,
    -- The latest moment that a trusted clock has shown.
    trusted_wall INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;
INSERT INTO "local" VALUES(1,1,1795140000000,1795140000000,1795140000000);
CREATE TABLE login_attempt (
    subject TEXT PRIMARY KEY,
    failures INTEGER NOT NULL,
    at INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    mono INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE login_session (
    token BLOB PRIMARY KEY,
    staff BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    agent TEXT
) STRICT, WITHOUT ROWID;
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
INSERT INTO "milking" VALUES(0,5,0,X'1B7C7717C3B15FF89C7E3C2DA9A1C801',1795140000000,3,1,0,'command-line','{"fact":"recorded","visit":{"start":[1795140000000,3,1,0],"end":[1795140000000,3,1,0],"day":20777,"no":1,"animal":"01a1fae9-004f-739c-804e-3c122b18db12","ml":8000,"fat":4100,"to":1,"found":1024}}');
INSERT INTO "milking" VALUES(0,6,2,X'1B7C7717C3B15FF89C7E3C2DA9A1C801',1795140000000,3,1,0,'command-line','{"fact":"corrected","yield_ml":8250,"destination":"withheld"}');
CREATE TABLE mqtt_retained (
    topic TEXT PRIMARY KEY,
    payload BLOB NOT NULL,
    qos INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE place (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT,
    slug TEXT,
    name TEXT,
    details TEXT
) STRICT;
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL
) STRICT;
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
CREATE TABLE reject_count (
    source TEXT NOT NULL,
    reason TEXT NOT NULL,
    n INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (source, reason)
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
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    quantity INTEGER NOT NULL,
    UNIQUE (device, quantity)
) STRICT;
CREATE TABLE session_plan (
    id BLOB PRIMARY KEY NOT NULL,
    number INTEGER,
    name TEXT,
    starts_min INTEGER,
    ends_min INTEGER,
    active INTEGER DEFAULT 1
) STRICT;
CREATE TABLE setting (
    id BLOB PRIMARY KEY NOT NULL,
    key TEXT,
    value TEXT
) STRICT;
CREATE TABLE site (
    ordinal INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;
INSERT INTO "site" VALUES(0,X'01A1FAE9004E73FCB9D7CE94E8FBF804');
CREATE TABLE staff (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT,
    role TEXT,
    pin TEXT,
    active INTEGER DEFAULT 1,
    created_at INTEGER
) STRICT;
CREATE TABLE stall_state (
    stall INTEGER PRIMARY KEY,
    json TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT;
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
INSERT INTO "visit" VALUES(1,X'1B7C7717C3B15FF89C7E3C2DA9A1C801',0,5,X'01A1FAE9004F739C804E3C122B18DB12',1795140000000,1795140000000,20777,1,NULL,8250,NULL,NULL,NULL,4100,NULL,1,1024,NULL,3,NULL,NULL,0);
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
COMMIT;
PRAGMA user_version = 1;

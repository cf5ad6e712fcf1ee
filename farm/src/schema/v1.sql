-- Records: shaped for cr-sqlite. BLOB key, everything else nullable or with a constant default, plain indexes only.

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
CREATE INDEX animal_number ON animal (number);
CREATE INDEX animal_merged ON animal (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE animal_tag (
    id BLOB PRIMARY KEY NOT NULL,
    animal BLOB,
    tag TEXT,
    from_at INTEGER,
    until_at INTEGER
) STRICT;
CREATE INDEX animal_tag_tag ON animal_tag (tag);
CREATE INDEX animal_tag_animal ON animal_tag (animal);

CREATE TABLE place (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT,
    slug TEXT,
    name TEXT,
    details TEXT
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

CREATE TABLE staff (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT,
    role TEXT,
    pin TEXT,
    active INTEGER DEFAULT 1,
    created_at INTEGER
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
CREATE INDEX alert_open ON alert (kind, subject) WHERE closed_at IS NULL;
CREATE INDEX alert_raised ON alert (raised_at);

-- Facts: appended, never changed; `site` is the ordinal in the table of that name, 0 is this one.

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
CREATE INDEX milking_visit ON milking (visit);

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
CREATE INDEX animal_event_animal ON animal_event (animal, happened_at);

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

-- Local only: this file's own state.

CREATE TABLE site (
    ordinal INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE
) STRICT;

CREATE TABLE local (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    boot INTEGER NOT NULL,
    last_wall INTEGER NOT NULL,
    -- The latest moment that a trusted clock has shown.
    trusted_wall INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    device BLOB NOT NULL,
    quantity INTEGER NOT NULL,
    UNIQUE (device, quantity)
) STRICT;

-- Readings as they arrive, in the order of arrival: appended, so that a commit writes few pages. Compaction moves them
-- into `reading` and sums them into `rollup`. `seq` numbers this site's readings and is never used twice.
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

-- Up to which reading the log has been compacted.
CREATE TABLE compaction (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    upto INTEGER NOT NULL
) STRICT;
INSERT INTO compaction (one, upto) VALUES (1, 0);

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

-- What each device said last, and when.
CREATE TABLE device_state (
    device BLOB PRIMARY KEY,
    heard_at INTEGER,
    heard_boot INTEGER,
    heard_mono INTEGER,
    last_tag TEXT,
    last_tag_at INTEGER
) STRICT, WITHOUT ROWID;

-- How long a place has been out of its limits.
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
CREATE INDEX login_session_staff ON login_session (staff);

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
) STRICT, WITHOUT ROWID;

-- Projections of the facts: derived, and can be rebuilt.

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
CREATE UNIQUE INDEX visit_id ON visit (id);
CREATE INDEX visit_animal ON visit (animal, start);
CREATE INDEX visit_day ON visit (day, session, animal);
CREATE INDEX visit_start ON visit (start);
CREATE INDEX visit_unidentified ON visit (start) WHERE animal IS NULL AND voided = 0;
CREATE INDEX visit_kept_out ON visit (start) WHERE destination <> 0 AND voided = 0;

CREATE TABLE animal_day (
    animal BLOB NOT NULL,
    day INTEGER NOT NULL,
    n INTEGER NOT NULL,
    yield_ml INTEGER NOT NULL,
    PRIMARY KEY (animal, day)
) STRICT, WITHOUT ROWID;

-- Session 0 is the whole day; `cows` counts animals milked at least once.
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

-- One farm in several places. Records are handed to cr-sqlite (store/replicated.rs, once this file has run), facts are numbered
-- without a hole in each log, and a milking becomes small enough to travel.

-- Records wait under another name until they are written into their tables again, a few in each transaction: cr-sqlite would
-- otherwise make one change of all of them, too large to travel.

DROP INDEX animal_number;
DROP INDEX animal_merged;
ALTER TABLE animal RENAME TO moved_animal;
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

DROP INDEX animal_tag_tag;
DROP INDEX animal_tag_animal;
ALTER TABLE animal_tag RENAME TO moved_animal_tag;
CREATE TABLE animal_tag (
    id BLOB PRIMARY KEY NOT NULL,
    animal BLOB,
    tag TEXT,
    from_at INTEGER,
    until_at INTEGER
) STRICT;
CREATE INDEX animal_tag_tag ON animal_tag (tag);
CREATE INDEX animal_tag_animal ON animal_tag (animal);

ALTER TABLE place RENAME TO moved_place;
CREATE TABLE place (
    id BLOB PRIMARY KEY NOT NULL,
    kind TEXT,
    slug TEXT,
    name TEXT,
    details TEXT
) STRICT;

ALTER TABLE device RENAME TO moved_device;
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

ALTER TABLE staff RENAME TO moved_staff;
CREATE TABLE staff (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT,
    role TEXT,
    pin TEXT,
    active INTEGER DEFAULT 1,
    created_at INTEGER
) STRICT;

ALTER TABLE session_plan RENAME TO moved_session_plan;
CREATE TABLE session_plan (
    id BLOB PRIMARY KEY NOT NULL,
    number INTEGER,
    name TEXT,
    starts_min INTEGER,
    ends_min INTEGER,
    active INTEGER DEFAULT 1
) STRICT;

ALTER TABLE setting RENAME TO moved_setting;
CREATE TABLE setting (
    id BLOB PRIMARY KEY NOT NULL,
    key TEXT,
    value TEXT
) STRICT;

DROP INDEX alert_open;
DROP INDEX alert_raised;
ALTER TABLE alert RENAME TO moved_alert;
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

-- Facts. `site` is the ordinal in `sync_site`, 0 is this one; columns that are added later are nullable.

DROP INDEX milking_visit;
ALTER TABLE milking RENAME TO moved_milking;
CREATE TABLE milking (
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    -- NULL when the visit's identity is made of this fact's own.
    visit BLOB,
    at INTEGER NOT NULL,
    clock INTEGER NOT NULL,
    boot INTEGER NOT NULL,
    -- `at` less the milliseconds since the boot.
    boot_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    -- JSON: a later word about a visit, or a visit that the columns below do not fit.
    body TEXT,
    -- Whose fact a word takes back; NULL when it is of this same site.
    of_site BLOB,
    -- A visit as it was told. Milliseconds from its end to `at`, and from its beginning to its end.
    ended_ago INTEGER,
    lasted INTEGER,
    -- How far the boot lay from `boot_at` by the clocks of its beginning and of its end.
    start_shift INTEGER,
    end_shift INTEGER,
    day INTEGER,
    session INTEGER,
    -- The site's own number for an animal and the tag that was read, which stand beside its first use; 0 for nobody.
    who INTEGER,
    animal BLOB,
    tag TEXT,
    -- The same for a stall and its meter.
    place INTEGER,
    stall INTEGER,
    meter BLOB,
    staff BLOB,
    yield_ml INTEGER,
    avg_flow INTEGER,
    peak_flow INTEGER,
    conductivity INTEGER,
    fat INTEGER,
    snf INTEGER,
    destination INTEGER,
    findings INTEGER,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO milking (site, seq, kind, visit, at, clock, boot, boot_at, actor, body)
SELECT 0, row_number() OVER (ORDER BY seq), kind, visit, at, clock, boot, at - mono, actor, body
FROM moved_milking WHERE site = 0 ORDER BY seq;
UPDATE milking SET body = json_set(body, '$.of.seq', (
    SELECT count(*) FROM moved_milking m WHERE m.site = 0 AND m.seq <= json_extract(milking.body, '$.of.seq')))
WHERE kind = 4;
DROP TABLE moved_milking;

ALTER TABLE audit RENAME TO moved_audit;
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
INSERT INTO audit (site, seq, at, clock, actor, action, subject, detail)
SELECT 0, row_number() OVER (ORDER BY seq), at, clock, actor, action, subject, detail
FROM moved_audit WHERE site = 0 ORDER BY seq;
DROP TABLE moved_audit;

DROP INDEX animal_event_animal;
ALTER TABLE animal_event RENAME TO moved_event;
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
    of_site BLOB,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE moved_number (old INTEGER PRIMARY KEY, new INTEGER NOT NULL) STRICT;
INSERT INTO moved_number (old, new)
SELECT seq, row_number() OVER (ORDER BY seq) FROM moved_event WHERE site = 0;
INSERT INTO animal_event (site, seq, animal, kind, happened_at, at, clock, boot, mono, actor, body)
SELECT 0, n.new, animal, kind, happened_at, at, clock, boot, mono, actor,
       CASE kind WHEN 'void' THEN json_set(body, '$.of.seq', (
           SELECT o.new FROM moved_number o WHERE o.old = json_extract(body, '$.of.seq'))) ELSE body END
FROM moved_event JOIN moved_number n ON n.old = seq WHERE site = 0 ORDER BY n.new;
CREATE INDEX animal_event_animal ON animal_event (animal, happened_at);
DROP TABLE moved_event;

ALTER TABLE hold RENAME TO moved_hold;
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
INSERT INTO hold (animal, product, site, seq, from_at, until_at, clock, boot, mono, medicine)
SELECT animal, product, 0, n.new, from_at, until_at, clock, boot, mono, medicine
FROM moved_hold JOIN moved_number n ON n.old = seq WHERE site = 0;
DROP TABLE moved_hold;
DROP TABLE moved_number;

-- What follows from the facts, and can be built again: which of them speak of a visit, and what a site's numbers stand for.

CREATE TABLE milking_of (
    visit BLOB NOT NULL,
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (visit, site, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO milking_of (visit, site, seq) SELECT visit, site, seq FROM milking ORDER BY visit, seq;
UPDATE visit SET seq = (SELECT min(o.seq) FROM milking_of o WHERE o.visit = visit.id);

CREATE TABLE milking_who (
    site INTEGER NOT NULL,
    n INTEGER NOT NULL,
    animal BLOB,
    tag TEXT,
    PRIMARY KEY (site, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX milking_who_animal ON milking_who (animal);

CREATE TABLE milking_place (
    site INTEGER NOT NULL,
    n INTEGER NOT NULL,
    stall INTEGER,
    meter BLOB,
    PRIMARY KEY (site, n)
) STRICT, WITHOUT ROWID;

-- Local only: what meters call the visits that they told last, so that one told twice is known again.
CREATE TABLE milking_told (
    told BLOB PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Sites are known by `sync_site`. A copy of the file takes an identity of its own when it is opened.
DROP TABLE site;
ALTER TABLE local ADD COLUMN is_copy INTEGER NOT NULL DEFAULT 0;

-- What sensors measured, for those who are elsewhere: each fact of the log `sample` tells what the series of this site did in a span of
-- five minutes, or an hour. What was measured once a second stays where it was measured.

-- `slot` is the beginning of the span, in steps of five minutes since 1970; the form of `body` is that of samples/body.rs.
CREATE TABLE sample (
    site INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    body BLOB,
    PRIMARY KEY (site, seq)
) STRICT, WITHOUT ROWID;

-- What follows from the facts, and can be built again: what a site's numbers stand for, spelt out by which fact, and of another site's
-- series the newest reading. Without a quantity it tells when the device was heard.
CREATE TABLE sample_series (
    site INTEGER NOT NULL,
    n INTEGER NOT NULL,
    device BLOB NOT NULL,
    quantity INTEGER,
    spelt INTEGER,
    at INTEGER,
    value INTEGER,
    quality INTEGER,
    flaw INTEGER,
    tag TEXT,
    PRIMARY KEY (site, n)
) STRICT, WITHOUT ROWID;
CREATE INDEX sample_series_device ON sample_series (device);

-- The same of sums over five minutes, an hour and a day, of what other sites measured. Its own a site has in `rollup`.
CREATE TABLE sampled (
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

-- Up to which fact of a site this was done; up to `own` it was this very file that measured, under a former identity.
CREATE TABLE sample_mark (
    site INTEGER PRIMARY KEY,
    upto INTEGER NOT NULL,
    own INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Local only: spans of this site that are not told yet. `until` is their end; `good` is the newest good value, and the columns after it
-- are the newest reading of all.
CREATE TABLE sample_open (
    slot INTEGER NOT NULL,
    n INTEGER NOT NULL,
    until INTEGER NOT NULL,
    count INTEGER NOT NULL,
    min INTEGER,
    max INTEGER,
    sum INTEGER NOT NULL,
    bad INTEGER NOT NULL,
    good INTEGER,
    at INTEGER NOT NULL,
    value INTEGER,
    quality INTEGER NOT NULL,
    flaw INTEGER,
    tag TEXT,
    PRIMARY KEY (slot, n)
) STRICT, WITHOUT ROWID;

-- Readings before this one are another identity's to tell.
ALTER TABLE local ADD COLUMN samples_from INTEGER NOT NULL DEFAULT 0;
-- Up to which moment it was told that the device was heard.
ALTER TABLE device_state ADD COLUMN told_at INTEGER;

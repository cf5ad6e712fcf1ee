-- Who may do what at the hub. Secrets that somebody holds are here as hashes only.
CREATE TABLE account (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- the second factor: its secret, when it was proven (NULL: being set up), the newest step whose code was taken
    totp TEXT,
    totp_since BIGINT,
    totp_step BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE backup_code (
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    hash TEXT NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (account, hash)
);

CREATE TABLE session (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    -- 'password': the second factor is still to come; 'whole'
    stage TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    agent TEXT NOT NULL,
    address TEXT NOT NULL
);
CREATE INDEX session_account ON session (account);

CREATE TABLE attempt (
    subject TEXT PRIMARY KEY,
    failures BIGINT NOT NULL,
    at BIGINT NOT NULL
);

CREATE TABLE password_reset (
    hash TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);

CREATE TABLE farm (
    id TEXT PRIMARY KEY,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- when it goes for good, once somebody asked for that; when it went
    goes_at BIGINT,
    gone_at BIGINT
);

CREATE TABLE member (
    farm TEXT NOT NULL REFERENCES farm (id) ON DELETE CASCADE,
    account TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (farm, account)
);
CREATE INDEX member_account ON member (account);

CREATE TABLE invitation (
    id TEXT PRIMARY KEY,
    hash TEXT NOT NULL UNIQUE,
    farm TEXT NOT NULL REFERENCES farm (id) ON DELETE CASCADE,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    invited_by TEXT NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- A machine on a farm.
CREATE TABLE site (
    id TEXT PRIMARY KEY,
    farm TEXT NOT NULL REFERENCES farm (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    enrolled_at BIGINT NOT NULL,
    heard_at BIGINT,
    -- how much it had not sent yet when it was last heard
    waiting BIGINT NOT NULL DEFAULT 0,
    revoked_at BIGINT
);
CREATE INDEX site_farm ON site (farm);

-- What a machine signs with. A key that follows another ends it when it is first used.
CREATE TABLE site_key (
    public_key TEXT PRIMARY KEY,
    site TEXT NOT NULL REFERENCES site (id) ON DELETE CASCADE,
    follows TEXT,
    since BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE INDEX site_key_site ON site_key (site);

-- A one-time code with which a machine becomes a site of a farm; it may replace one whose key is then revoked.
CREATE TABLE claim (
    hash TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    farm TEXT NOT NULL REFERENCES farm (id) ON DELETE CASCADE,
    replaces TEXT,
    created_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT,
    -- the key that used it: its holder may ask again when the answer was lost
    used_by TEXT
);

-- Who did what: only appended, each entry holds the hash of the one before. No references: it outlives what it tells of.
CREATE TABLE audit (
    seq BIGINT PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    farm TEXT,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_farm ON audit (farm, seq);

-- The farm's hub, as this appliance knows it: its own and never replicated, because the key speaks for this file alone. `asked` is a
-- claim under way, whose answer may be lost: it is made again with the same key.
CREATE TABLE hub_link (
    state TEXT PRIMARY KEY NOT NULL CHECK (state IN ('asked', 'joined')),
    address TEXT NOT NULL,
    site BLOB NOT NULL,
    seed BLOB NOT NULL CHECK (length(seed) = 32),
    farm TEXT NOT NULL DEFAULT '',
    at INTEGER NOT NULL
) STRICT;

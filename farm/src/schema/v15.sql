-- Who put a tag on, took it off, or said on whom it stays, without a look at every entry.
CREATE INDEX audit_tag ON audit (json_extract(detail, '$.tag'), at)
    WHERE action IN ('animal.tag', 'animal.untag', 'animal.keep_tag');
-- The last of these alone: there is one for each conflict that was ever settled.
CREATE INDEX audit_kept_tag ON audit (json_extract(detail, '$.tag')) WHERE action = 'animal.keep_tag';

-- With which version of the schema what came from newer sites was tried again: the power may go between a migration and that.
ALTER TABLE local ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0;

-- What knows the key again that secrets are sealed with; the key itself is a file beside the database.
CREATE TABLE seal_check (
    sealed TEXT NOT NULL
);

//! A dairy farm's records and facts: schema, commands, queries and rules over one SQLite file.

//! The hot queries never look at every row: SQLite's own plan says so.

use crate::support::Fixture;

/// The statement's plan, or a panic that shows it if any step scans a table that grows.
fn check(f: &Fixture, sql: &str) {
    let plan: Vec<String> = f.read(|conn| {
        let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
        let values = vec![rusqlite::types::Value::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3))?;
        Ok(rows.collect::<Result<_, _>>()?)
    });
    let growing = [
        "visit",
        "v",
        "milking",
        "reading",
        "animal_day",
        "animal_event",
        "alert",
        "audit",
    ];
    for step in &plan {
        let mut words = step.split_whitespace();
        let scans = words.next() == Some("SCAN")
            && words.next().is_some_and(|table| growing.contains(&table))
            // A walk along an index in the order that is asked for, which a limit ends, is no scan of all.
            && !step.contains("USING");
        assert!(!scans, "{sql}\n{plan:#?}");
    }
}

#[test]
fn hot_queries_use_their_indexes() {
    let f = Fixture::new();
    for sql in [
        "SELECT 1 FROM visit WHERE id = ?1",
        "SELECT * FROM visit v WHERE v.animal = ?1 AND v.voided = 0 ORDER BY v.start DESC LIMIT 20",
        "SELECT * FROM visit v WHERE v.voided = 0 ORDER BY v.start DESC, v.n DESC LIMIT 51",
        "SELECT * FROM visit v WHERE v.day >= ?1 AND v.day <= ?2 AND v.start >= ?3 AND v.start < ?4 ORDER BY v.start DESC LIMIT 51",
        "SELECT * FROM visit v INDEXED BY visit_kept_out WHERE v.destination = ?1 AND v.destination <> 0 AND v.voided = 0
            ORDER BY v.start DESC LIMIT 51",
        "SELECT animal, id FROM visit WHERE day = ?1 AND session = ?2 AND animal IS NOT NULL",
        "SELECT day, n, yield_ml FROM animal_day WHERE animal = ?1 AND day BETWEEN ?2 AND ?3",
        "SELECT * FROM herd_day WHERE day BETWEEN ?1 AND ?2 AND session = 0",
        "SELECT * FROM milking WHERE visit = ?1",
        "SELECT * FROM animal_event WHERE animal = ?1 ORDER BY happened_at",
        "SELECT id FROM alert WHERE kind = ?1 AND subject = ?2 AND closed_at IS NULL",
        "SELECT * FROM alert INDEXED BY alert_open WHERE closed_at IS NULL",
        "SELECT * FROM alert WHERE raised_at < ?1 ORDER BY raised_at DESC LIMIT 50",
        "SELECT * FROM audit WHERE site = 0 AND seq < ?1 ORDER BY seq DESC LIMIT 50",
        "SELECT * FROM reading WHERE series = ?1 AND at >= ?2 AND at < ?3",
        "SELECT max(seq) FROM milking WHERE site = 0",
    ] {
        check(&f, sql);
    }
}

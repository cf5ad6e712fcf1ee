//! One farm in several files.

use farm::{Farm, Options, backup};
use farm_model::Clock as _;

use crate::support::{Fixture, session, visit};

fn number(farm: &Farm, sql: &'static str) -> i64 {
    farm.write_blocking(farm::Actor::System, move |tx| {
        Ok::<_, farm::StoreError>(tx.conn().query_row(sql, [], |row| row.get(0))?)
    })
    .unwrap()
}

fn site(farm: &Farm) -> Vec<u8> {
    farm.write_blocking(farm::Actor::System, |tx| {
        Ok::<_, farm::StoreError>(
            tx.conn()
                .query_row("SELECT crsql_site_id()", [], |row| row.get(0))?,
        )
    })
    .unwrap()
}

/// What the sites in their order have said: facts of milkings, and cells.
const SAID: &str = "SELECT (SELECT count(*) FROM milking WHERE site = 0) * 1000000 + (SELECT count(*) FROM milking WHERE site = 1) * 1000
    + (SELECT count(*) FROM crsql_changes WHERE site_id = crsql_site_id() AND db_version > 0)";

#[test]
fn a_copy_goes_on_under_an_identity_of_its_own() {
    let f = Fixture::new();
    let cow = f.cow("101");
    let told = visit("1", Some(cow), session("2026-11-20", 1), 8_000, f.now());
    f.write(move |tx| farm::milkings::record(tx, told)).unwrap();
    let copy = f.dir.path().join("copy.db");
    backup::copy(f.farm.path(), &copy).unwrap();
    let original = site(&f.farm);
    assert_eq!(number(&f.farm, SAID), 1_000_013);

    let restored = Farm::open(&copy, Options::default()).unwrap();
    assert_ne!(site(&restored), original);
    assert_eq!(
        number(&restored, SAID),
        1_000,
        "all that was said is the original's"
    );
    let visits = "SELECT count(*) FROM visit JOIN milking_of USING (site, seq) WHERE site = 1";
    assert_eq!(number(&restored, visits), 1);
    let cells = "SELECT count(*) FROM crsql_changes c JOIN sync_site s ON s.id = c.site_id WHERE s.ordinal = 1 AND db_version > 0";
    assert_eq!(number(&restored, cells), 13);
    let own = site(&restored);
    let stamp = restored.clock().now();
    let told = visit("2", Some(cow), session("2026-11-20", 2), 7_000, stamp);
    restored
        .write_blocking(farm::Actor::System, move |tx| {
            farm::milkings::record(tx, told)
        })
        .unwrap();
    drop(restored);
    let again = Farm::open(&copy, Options::default()).unwrap();
    assert_eq!(site(&again), own, "once is enough");
    let said = number(&again, SAID);
    assert_eq!(said / 1_000, 1_001, "one fact of each: {said}");
    assert_eq!(site(&f.farm), original);
}

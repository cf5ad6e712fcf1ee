//! One farm in several files.

mod apart;
mod poison;
pub(crate) mod samples;
pub(crate) mod several;
mod wire;

use farm::{
    Farm, Options,
    alerts::{self, AlertKind},
    animals::{self, AnimalForm},
    backup,
    events::{self, EventBody, NewEvent},
    findings, hub, staff,
};
use farm_model::{AnimalId, AnimalStatus, Clock as _, Role, StaffId};
use sync::{
    Sender, Store as _,
    exchange::Speak,
    marks::{Hash, Mark},
    store::{Delivery, Fault, Turn, Want},
    wire::{Have, Stream},
};

use self::several::{Place, deliver, gather};
use crate::support::{Fixture, name, session, visit};

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

/// A cow in milk.
fn add_cow(place: &Place) -> AnimalId {
    let form = AnimalForm::new(name("101"), AnimalStatus::Lactating);
    let cow = place.write(move |tx| animals::register(tx, &form, None, None));
    cow.unwrap()
}

fn add_worker(place: &Place) -> StaffId {
    let hash = staff::Pin::new("2580").unwrap().hash();
    let who = place.write(move |tx| staff::add(tx, &name("Rahim"), Role::Worker, &hash));
    who.unwrap()
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

#[test]
fn a_copy_does_not_hold_what_the_appliance_signs_with() {
    let f = Fixture::new();
    let seed = f.write(|tx| {
        let asking = hub::ask(tx, "https://hub.example")?;
        hub::join(tx, "Char Khamar", 0)?;
        // A claim under way has a key as well.
        let other = hub::ask(tx, "https://other.example")?;
        Ok::<_, hub::HubError>([*asking.key.seed(), *other.key.seed()])
    });
    let copy = f.dir.path().join("copy.db");
    backup::copy(f.farm.path(), &copy).unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    for seed in seed.unwrap() {
        assert!(!bytes.windows(32).any(|bytes| bytes == seed));
    }
    let restored = Farm::open(&copy, Options::default()).unwrap();
    let joined = |farm: &Farm| farm.read_blocking(hub::joined).unwrap();
    assert!(joined(&restored).is_none(), "it asks to be connected again");
    let joined = joined(&f.farm).expect("the original goes on");
    assert_eq!(joined.farm, "Char Khamar");
}

#[test]
fn a_turn_that_fails_leaves_nothing_of_a_site() {
    let (edge, hub) = (Place::new(), Place::new());
    add_cow(&edge);
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    let delivery = Delivery {
        sender: Sender::Edge(edge.site),
        parts: parts.clone(),
    };
    let forged = Have {
        stream: Stream {
            site: hub.site,
            name: String::new(),
        },
        mark: Mark {
            upto: 9,
            hash: Hash([1; 16]),
        },
    };
    let failing = Turn {
        take: Some(delivery),
        give: Some(Want {
            peer: edge.site,
            speak: Speak::ForAll,
            have: vec![forged],
            skip: Vec::new(),
            room: 1 << 20,
        }),
        ..Turn::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // Together with a command that is kept, so that the group commits.
    let (failed, kept) = runtime.block_on(async {
        tokio::join!(
            hub.farm.turn(failing),
            hub.farm
                .write(farm::Actor::System, |tx| farm::settings::save(
                    tx,
                    &farm::settings::Settings::default()
                ))
        )
    });
    assert!(matches!(failed, Err(Fault::Copied(_))), "{failed:?}");
    kept.unwrap();
    assert_eq!(hub.cells(&edge), 0);
    deliver(&hub, Sender::Edge(edge.site), parts);
    assert_eq!(hub.cells(&edge), edge.cells(&edge));
    assert_eq!(hub.farm.read_blocking(animals::list).unwrap().len(), 1);
}

#[test]
fn what_came_is_told_and_counted() {
    let (edge, hub) = (Place::new(), Place::new());
    let cow = add_cow(&edge);
    let told = visit(
        "1",
        Some(cow),
        session("2026-11-20", 1),
        8_000,
        edge.farm.clock().now(),
    );
    edge.write(move |tx| farm::milkings::record(tx, told))
        .unwrap();
    let (seen, mut events) = (hub.farm.committed(), hub.farm.events().subscribe());
    let parts = gather(&edge, &hub, Speak::ForItself, 1 << 20);
    deliver(&hub, Sender::Edge(edge.site), parts.clone());
    assert!(hub.farm.committed() > seen);
    let farm::Resume::Events(events) = events.ready() else {
        panic!("so few events are kept")
    };
    let told: Vec<_> = events.iter().map(|event| event.change.clone()).collect();
    assert!(
        told.contains(&farm::Change::Animal { animal: cow }),
        "{told:?}"
    );
    assert!(
        told.iter().any(|change| matches!(
            change,
            farm::Change::Milking {
                yield_ml: 8_000,
                ..
            }
        )),
        "{told:?}"
    );
    let seen = hub.farm.committed();
    deliver(&hub, Sender::Edge(edge.site), parts);
    assert_eq!(hub.farm.committed(), seen, "nothing came that was not here");
}

#[test]
fn a_member_of_staff_dismissed_elsewhere_is_logged_out_here() {
    let (edge, hub) = (Place::new(), Place::new());
    let who = add_worker(&edge);
    several::join(&edge, &hub);
    edge.write(move |tx| farm::auth::open(tx, who, "phone"))
        .unwrap();
    hub.write(move |tx| staff::deactivate(tx, who)).unwrap();
    several::join(&edge, &hub);
    assert_eq!(number(&edge.farm, "SELECT count(*) FROM login_session"), 0);
}

/// What was found, at each of two places: kind, identity, who did what.
fn found(places: [&Place; 2]) -> Vec<(AlertKind, farm_model::AlertId, Vec<String>)> {
    let [here, there] = places.map(|place| {
        let open = place.farm.read_blocking(alerts::open).unwrap();
        let kinds = [
            AlertKind::CalvedTwice,
            AlertKind::Tanked,
            AlertKind::Dismissed,
        ];
        let open = open.into_iter().filter(|alert| kinds.contains(&alert.kind));
        let told = open.map(|alert| {
            let sides = findings::sides(&alert).into_iter();
            (
                alert.kind,
                alert.id,
                sides
                    .map(|side| format!("{} {}", side.actor, side.what))
                    .collect(),
            )
        });
        told.collect::<Vec<_>>()
    });
    assert_eq!(here, there, "both places find the same");
    here
}

#[test]
fn what_a_merge_shows_is_found_at_both_places_and_settled_at_both() {
    let (edge, hub) = (Place::new(), Place::new());
    let cow = add_cow(&edge);
    let who = add_worker(&edge);
    several::join(&edge, &hub);
    assert!(found([&edge, &hub]).is_empty());

    // Apart: each place writes a calving down; one treats her, the other milks her into the tank; one dismisses who works at the other.
    let calved = move |day| NewEvent::on(cow, crate::support::date(day), EventBody::calving(2));
    edge.write(move |tx| events::record(tx, &calved("2026-11-01")))
        .unwrap();
    hub.write(move |tx| events::record(tx, &calved("2026-11-03")))
        .unwrap();
    let treatment = EventBody::Treatment {
        medicine: "penicillin".into(),
        dose: String::new(),
        reason: String::new(),
        milk_hold_h: 72,
        meat_hold_h: 0,
    };
    hub.write(move |tx| events::record(tx, &NewEvent::now(cow, treatment)))
        .unwrap();
    hub.write(move |tx| staff::deactivate(tx, who)).unwrap();
    edge.clock.pass(crate::support::HOUR);
    let told = visit(
        "1",
        Some(cow),
        session("2026-11-20", 1),
        8_000,
        edge.farm.clock().now(),
    );
    let milking = told.id;
    let actor = farm::Actor::Staff(who);
    edge.farm
        .write_blocking(actor.clone(), move |tx| farm::milkings::record(tx, told))
        .unwrap();
    edge.farm
        .write_blocking(actor.clone(), move |tx| {
            animals::tag(tx, cow, &"050000000000217".parse().unwrap())
        })
        .unwrap();
    several::join(&edge, &hub);
    let all = found([&edge, &hub]);
    let sides = |kind| {
        let of = all.iter().find(|(found, ..)| *found == kind);
        of.unwrap_or_else(|| panic!("{kind:?} was not found: {all:?}"))
            .2
            .clone()
    };
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(
        sides(AlertKind::CalvedTwice),
        ["system calving", "system calving"]
    );
    assert_eq!(
        sides(AlertKind::Tanked),
        ["system treatment".to_owned(), format!("{actor} milking")]
    );
    assert_eq!(
        sides(AlertKind::Dismissed),
        [
            "system staff.deactivate".to_owned(),
            format!("{actor} animal.tag")
        ]
    );

    // Each is settled at one place: by correcting the milking, by striking a calving out, by a person's word.
    let correction = farm::milkings::Correction {
        yield_ml: 8_000,
        destination: farm_model::Destination::Tank,
        reason: None,
    };
    edge.write(move |tx| farm::milkings::correct(tx, milking, &correction))
        .unwrap();
    let known = hub
        .farm
        .read_blocking(|conn| events::of_animal(conn, cow))
        .unwrap();
    let calving = known
        .iter()
        .find(|e| matches!(e.body, EventBody::Calving { .. }))
        .unwrap()
        .id;
    hub.write(move |tx| events::void(tx, calving)).unwrap();
    let dismissed = all
        .iter()
        .find(|(kind, ..)| *kind == AlertKind::Dismissed)
        .unwrap()
        .1;
    hub.write(move |tx| alerts::settle(tx, dismissed, None))
        .unwrap();
    several::join(&edge, &hub);
    assert!(
        found([&edge, &hub]).is_empty(),
        "{:?}",
        found([&edge, &hub])
    );
    assert_eq!(hub.content(), edge.content());
}

//! What two places do apart that no single one would allow: found at both with both sides, settled by one word, at both.

use farm::{
    Actor, StoreError,
    alerts::{self, AlertKind, Subject},
    animals::{self, AnimalForm, Conflict},
    plan,
};
use farm_model::{AnimalId, AnimalStatus, StaffId, Tag};
use jiff::civil::time;

use super::several::{Place, join};
use crate::support::{HOUR, name};

fn cow(place: &Place, number: &str) -> AnimalId {
    let form = AnimalForm::new(name(number), AnimalStatus::Lactating);
    place
        .write(move |tx| animals::register(tx, &form, None, None))
        .unwrap()
}

fn tag() -> Tag {
    "050000000000217".parse().unwrap()
}

fn conflicts(places: [&Place; 2]) -> Vec<Conflict> {
    let [here, there] = places.map(|place| place.farm.read_blocking(animals::conflicts).unwrap());
    assert_eq!(here, there, "both places find the same");
    here
}

fn wearers(place: &Place) -> Vec<AnimalId> {
    let worn = place.farm.read_blocking(animals::worn_tags).unwrap();
    worn.into_iter().map(|(_, animal)| animal).collect()
}

fn put_on(place: &Place, who: StaffId, animal: AnimalId) {
    place
        .farm
        .write_blocking(Actor::Staff(who), move |tx| {
            animals::tag(tx, animal, &tag())
        })
        .unwrap();
}

fn keep(place: &Place, animal: AnimalId) {
    place
        .write(move |tx| animals::keep_tag(tx, &tag(), animal))
        .unwrap();
}

#[test]
fn one_tag_on_two_animals_says_who_put_it_where_and_is_settled_by_one_word() {
    let (edge, hub) = (Place::new(), Place::new());
    let (first, second) = (cow(&edge, "101"), cow(&edge, "102"));
    join(&edge, &hub);
    let (rahim, karim) = (StaffId::new(), StaffId::new());
    put_on(&edge, rahim, first);
    hub.clock.pass(HOUR);
    put_on(&hub, karim, second);
    join(&edge, &hub);

    let found = conflicts([&edge, &hub]);
    let [Conflict::Tag { animals, said, .. }] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(animals.len(), 2);
    let of = |animal| said.iter().find(|one| one.animal == animal).unwrap();
    assert_eq!(of(first).actor, Actor::Staff(rahim).to_string());
    assert_eq!(of(second).actor, Actor::Staff(karim).to_string());
    assert_eq!(of(second).at.since(of(first).at), HOUR);

    keep(&hub, first);
    join(&edge, &hub);
    assert!(conflicts([&edge, &hub]).is_empty());
    assert_eq!(wearers(&edge), [first]);
    assert_eq!(edge.content(), hub.content());
}

#[test]
fn a_tag_that_two_people_settle_apart_and_differently_is_put_before_a_person_again() {
    let (edge, hub) = (Place::new(), Place::new());
    let (first, second) = (cow(&edge, "101"), cow(&edge, "102"));
    join(&edge, &hub);
    put_on(&edge, StaffId::new(), first);
    put_on(&hub, StaffId::new(), second);
    join(&edge, &hub);
    edge.clock.pass(HOUR);
    hub.clock.pass(HOUR);
    keep(&edge, first);
    keep(&hub, second);
    join(&edge, &hub);
    let found = conflicts([&edge, &hub]);
    assert!(
        matches!(found.as_slice(), [Conflict::Tag { animals, said, .. }] if animals.len() == 2 && said.len() == 2),
        "{found:?}"
    );
    edge.clock.pass(HOUR);
    keep(&edge, second);
    join(&edge, &hub);
    assert!(conflicts([&edge, &hub]).is_empty());
    assert_eq!(
        (wearers(&edge), wearers(&hub)),
        (vec![second], vec![second])
    );

    // Both agree: nothing is left of it. And what is taken off later is no conflict.
    keep(&hub, second);
    hub.clock.pass(2 * HOUR);
    hub.write(move |tx| animals::untag(tx, second, &tag()))
        .unwrap();
    join(&edge, &hub);
    assert!(conflicts([&edge, &hub]).is_empty());
    assert_eq!(edge.content(), hub.content());
}

#[test]
fn of_two_plans_made_apart_the_newest_stands_whole() {
    let (edge, hub) = (Place::new(), Place::new());
    let session = |at: i8| (name("milking"), time(at, 0, 0, 0), time(at + 2, 0, 0, 0));
    let save = |place: &Place, hours: &[i8]| {
        let sessions: Vec<_> = hours.iter().map(|at| session(*at)).collect();
        place.write(move |tx| plan::save(tx, &sessions)).unwrap();
    };
    let begins = |place: &Place| -> Vec<i8> {
        let plan = place.farm.read_blocking(plan::load).unwrap();
        plan.sessions.iter().map(|s| s.starts.hour()).collect()
    };
    save(&edge, &[4, 15]);
    join(&edge, &hub);
    save(&hub, &[5, 12, 20]);
    save(&edge, &[6, 16]);
    join(&edge, &hub);
    assert_eq!(begins(&edge), begins(&hub));
    assert_eq!(begins(&hub), [6, 16]);
    save(&hub, &[3]);
    join(&edge, &hub);
    assert_eq!((begins(&edge), begins(&hub)), (vec![3], vec![3]));
    let standing = "SELECT count(*) FROM session_plan WHERE active = 1";
    let read = |place: &Place| {
        place.farm.read_blocking(|conn| {
            Ok::<i64, StoreError>(conn.query_row(standing, [], |row| row.get(0))?)
        })
    };
    assert_eq!((read(&edge).unwrap(), read(&hub).unwrap()), (1, 1));
}

#[test]
fn an_alert_that_two_places_raise_apart_is_one() {
    let (edge, hub) = (Place::new(), Place::new());
    let cow = cow(&edge, "101");
    join(&edge, &hub);
    for place in [&edge, &hub] {
        place
            .write(move |tx| {
                let detail = serde_json::json!({});
                alerts::raise(tx, AlertKind::Health, Subject::Animal(cow), &detail)
            })
            .unwrap();
    }
    join(&edge, &hub);
    let [here, there] = [&edge, &hub].map(|place| place.farm.read_blocking(alerts::open).unwrap());
    assert_eq!(here, there);
    assert_eq!(here.len(), 1, "{here:?}");
    let id = here[0].id;
    hub.write(move |tx| alerts::settle(tx, id, None)).unwrap();
    join(&edge, &hub);
    assert!(edge.farm.read_blocking(alerts::open).unwrap().is_empty());
    assert_eq!(edge.content(), hub.content());
}

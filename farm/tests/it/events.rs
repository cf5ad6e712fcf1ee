//! What happens to an animal, and what follows from it.

use farm::{
    animals::{self, AnimalForm},
    events::{self, EventBody, EventError, NewEvent, Pregnancy},
};
use farm_model::AnimalStatus;

use crate::support::{Fixture, date, name};

#[test]
fn a_lactation_follows_from_its_events() {
    let f = Fixture::new();
    let form = AnimalForm::new(name("5"), AnimalStatus::Heifer);
    let cow = f
        .write(move |tx| animals::register(tx, &form, None, None))
        .unwrap();
    let on = |day: &'static str, body: EventBody| {
        f.write(move |tx| events::record(tx, &NewEvent::on(cow, date(day), body)))
            .unwrap()
    };
    let status = || f.read(move |conn| animals::get(conn, cow)).unwrap().status;
    let state = || f.read(move |conn| events::state(conn, cow));
    let calving = on("2026-03-01", EventBody::calving(1));
    assert_eq!(status(), AnimalStatus::Lactating);
    assert_eq!(state().days_in_milk(date("2026-03-11")), Some(10));
    on(
        "2026-05-20",
        EventBody::Insemination {
            sire: "HF-12".into(),
        },
    );
    assert_eq!(state().due, Some(date("2027-02-24")));
    on(
        "2026-07-01",
        EventBody::PregnancyCheck {
            result: Pregnancy::Pregnant,
        },
    );
    on("2026-11-01", EventBody::DryOff);
    assert_eq!(status(), AnimalStatus::Dry);
    assert_eq!(state().days_in_milk(date("2026-11-02")), None);
    assert_eq!(state().pregnant, Some(true));
    // The calving was another cow's: she is dry, as the remaining events say, and never calved.
    f.write(move |tx| events::void(tx, calving)).unwrap();
    assert_eq!(state().calved, None);
    let listed = f.read(move |conn| events::of_animal(conn, cow));
    assert_eq!(listed.iter().filter(|e| e.voided).count(), 1);
    let again = f.write(move |tx| events::void(tx, farm::FactId { site: 0, seq: 999 }));
    assert!(matches!(again, Err(EventError::UnknownEvent)));
}

#[test]
fn what_cannot_be_is_refused() {
    let f = Fixture::new();
    let cow = f.cow("5");
    let refused = |day: &'static str, body: EventBody| {
        f.write(move |tx| events::record(tx, &NewEvent::on(cow, date(day), body)))
            .unwrap_err()
    };
    assert!(matches!(
        refused("2026-11-21", EventBody::Heat),
        EventError::Future
    ));
    assert!(matches!(
        refused("2026-11-20", EventBody::Weight { grams: 10 }),
        EventError::Weight
    ));
    assert!(matches!(
        refused("2026-11-20", EventBody::Note { text: " ".into() }),
        EventError::Empty
    ));
    let treatment = EventBody::Treatment {
        medicine: "x".into(),
        dose: String::new(),
        reason: String::new(),
        milk_hold_h: 100_000,
        meat_hold_h: 0,
    };
    assert!(matches!(
        refused("2026-11-20", treatment),
        EventError::LongHold
    ));
    // Today, though noon has not come.
    f.write(move |tx| events::record(tx, &NewEvent::on(cow, date("2026-11-20"), EventBody::Heat)))
        .unwrap();
}

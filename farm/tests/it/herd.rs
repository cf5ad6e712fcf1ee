//! The register: one tag, one number, merged duplicates.

use farm::{
    animals::{self, AnimalError, AnimalForm, Conflict, HerdFilter, HerdSort, SortOrder},
    events::{EventBody, NewEvent},
    milkings,
};
use farm_model::{AnimalStatus, Tag};

use crate::support::{Fixture, date, name, session, tag, visit};

const RFID: &str = "050000000000001";

#[test]
fn a_tag_and_a_number_belong_to_one_animal() {
    let f = Fixture::new();
    let first = f.cow("101");
    let second = f.cow("102");
    f.write(move |tx| animals::tag(tx, first, &tag(RFID)))
        .unwrap();
    let refused = f.write(move |tx| animals::tag(tx, second, &tag(RFID)));
    assert!(matches!(refused, Err(AnimalError::TagTaken(_, other)) if other == first));
    let form = AnimalForm::new(name("101"), AnimalStatus::Heifer);
    let refused = f.write(move |tx| animals::register(tx, &form, None, None));
    assert!(matches!(refused, Err(AnimalError::NumberTaken(_, other)) if other == first));
    // A sold animal's number is free.
    f.write(move |tx| animals::set_status(tx, first, AnimalStatus::Sold))
        .unwrap();
    f.cow("101");
}

#[test]
fn an_old_tag_names_its_animal_until_another_wears_it() {
    let f = Fixture::new();
    let (first, second) = (f.cow("1"), f.cow("2"));
    f.write(move |tx| {
        animals::tag(tx, first, &tag(RFID))?;
        animals::untag(tx, first, &tag(RFID))?;
        animals::tag(tx, first, &tag("050000000000002"))
    })
    .unwrap();
    let whose = |text: &'static str| {
        f.read(move |conn| animals::by_tag(conn, &tag(text)))
            .map(|a| a.id)
    };
    assert_eq!(whose(RFID), Some(first));
    assert_eq!(whose("050000000000002"), Some(first));
    let known = || f.read(animals::known_tags);
    let other = tag("050000000000002");
    assert_eq!(known(), [(tag(RFID), first), (other.clone(), first)]);
    f.write(move |tx| animals::tag(tx, second, &tag(RFID)))
        .unwrap();
    assert_eq!(whose(RFID), Some(second));
    assert_eq!(known(), [(tag(RFID), second), (other, first)]);
    assert_eq!(whose("050000000000003"), None);
    let called = |text: &'static str| {
        f.read(move |conn| animals::by_text(conn, text))
            .map(|a| a.id)
    };
    assert_eq!(called("২"), Some(second));
    assert_eq!(called(" 050000000000002 "), Some(first));
}

#[test]
fn a_merged_duplicate_brings_its_milk_tags_and_events() {
    let f = Fixture::new();
    let (stays, duplicate) = (f.cow("7"), f.cow("7b"));
    let now = f.now();
    f.write(move |tx| {
        animals::tag(tx, duplicate, &tag(RFID))?;
        let treatment = EventBody::Treatment {
            medicine: "oxytetracycline".into(),
            dose: String::new(),
            reason: String::new(),
            milk_hold_h: 72,
            meat_hold_h: 0,
        };
        farm::events::record(tx, &NewEvent::now(duplicate, treatment)).map_err(Box::new)?;
        Ok::<_, AnimalError>(())
    })
    .unwrap();
    f.write(move |tx| {
        milkings::record(
            tx,
            visit("a", Some(stays), session("2026-11-19", 1), 5_000, now),
        )?;
        milkings::record(
            tx,
            visit("b", Some(duplicate), session("2026-11-19", 2), 4_000, now),
        )
    })
    .unwrap();
    f.write(move |tx| animals::merge(tx, duplicate, stays))
        .unwrap();
    let page = f
        .read(move |conn| animals::animal_page(conn, duplicate, date("2026-11-20"), &now))
        .unwrap();
    assert_eq!(page.animal.id, stays);
    assert_eq!(page.tags[0].tag, tag(RFID));
    assert_eq!(page.visits.len(), 2);
    assert_eq!(page.days[0].yield_ml, 9_000);
    assert_eq!(page.holds.len(), 1, "a hold follows the animal");
    assert_eq!(page.events.len(), 1);
    let again = f.write(move |tx| animals::merge(tx, duplicate, stays));
    assert!(matches!(again, Err(AnimalError::Same)));
    // What is still told of the duplicate is the other's.
    f.write(move |tx| {
        milkings::record(
            tx,
            visit("c", Some(duplicate), session("2026-11-20", 1), 3_000, now),
        )
    })
    .unwrap();
    let visits = f.read(move |conn| milkings::of_animal(conn, stays, 10));
    assert_eq!(visits.len(), 3);
    assert_eq!(f.read(animals::list).len(), 1);
}

#[test]
fn what_two_sites_did_apart_is_found() {
    let f = Fixture::new();
    let (first, second) = (f.cow("1"), f.cow("2"));
    f.write(move |tx| animals::tag(tx, first, &tag(RFID)))
        .unwrap();
    // As a merge would write it, past the command's rule.
    f.write(move |tx| {
        tx.conn().execute(
            "INSERT INTO animal_tag (id, animal, tag, from_at) VALUES (randomblob(16), ?1, ?2, 0)",
            rusqlite::params![second.as_bytes(), RFID],
        )?;
        Ok::<_, farm::StoreError>(tx.conn().execute(
            "UPDATE animal SET number = '1' WHERE id = ?1",
            [second.as_bytes()],
        )?)
    })
    .unwrap();
    let found = f.read(animals::conflicts);
    assert_eq!(found.len(), 2);
    assert!(
        matches!(&found[0], Conflict::Tag { tag: t, animals, .. } if *t == tag(RFID) && animals.len() == 2)
    );
    assert!(
        matches!(&found[1], Conflict::Number { number, animals, .. } if number == "1" && animals.len() == 2)
    );
}

#[test]
fn the_herd_is_filtered_searched_and_sorted() {
    let f = Fixture::new();
    let now = f.now();
    for (number, milk) in [("2", 9_000), ("10", 12_000), ("1", 0)] {
        let cow = f.cow(number);
        if milk > 0 {
            f.write(move |tx| {
                milkings::record(
                    tx,
                    visit(number, Some(cow), session("2026-11-20", 1), milk, now),
                )
            })
            .unwrap();
        }
    }
    let numbers = |filter: HerdFilter, sort| -> Vec<String> {
        f.read(move |conn| animals::herd(conn, &filter, sort, date("2026-11-20"), &now))
            .into_iter()
            .map(|r| r.animal.number)
            .collect()
    };
    let all = HerdFilter::default;
    assert_eq!(
        numbers(all(), (HerdSort::Number, SortOrder::Up)),
        ["1", "2", "10"]
    );
    assert_eq!(
        numbers(all(), (HerdSort::Today, SortOrder::Down)),
        ["10", "2", "1"]
    );
    assert_eq!(
        numbers(all(), (HerdSort::Today, SortOrder::Up)),
        ["2", "10", "1"]
    );
    let text = HerdFilter {
        text: "১".into(),
        ..all()
    };
    assert_eq!(
        numbers(text, (HerdSort::Number, SortOrder::Up)),
        ["1", "10"]
    );
    let dry = HerdFilter {
        status: Some(AnimalStatus::Dry),
        ..all()
    };
    assert!(numbers(dry, (HerdSort::Number, SortOrder::Up)).is_empty());
    let composition = f.read(animals::composition);
    assert_eq!(composition.by_status, [(AnimalStatus::Lactating, 3)]);
}

#[test]
fn a_worn_tag_list_serves_the_readers() {
    let f = Fixture::new();
    let cow = f.cow("1");
    f.write(move |tx| animals::tag(tx, cow, &tag(RFID)))
        .unwrap();
    let worn: Vec<(Tag, _)> = f.read(animals::worn_tags);
    assert_eq!(worn, [(tag(RFID), cow)]);
}

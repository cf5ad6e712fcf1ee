//! What a phone wrote down while it was away: each record once, each with its own result, by whoever may.

use axum::http::{Method, StatusCode};
use farm::{Actor, animals, events, milkings};
use farm_model::AnimalId;
use serde_json::{Value, json};

use crate::{
    client::{Answer, As, Site},
    seed::{NOW, Seeded},
};

const PUSH: &str = "/api/v1/mobile/sync/push";

async fn push(site: &Site, who: As<'_>, records: &[Value]) -> Answer {
    let body = json!({ "records": records });
    site.post_json(PUSH, who, &body).await
}

fn record(name: &str, entity: &str, data: &Value) -> Value {
    json!({ "localId": name, "entity": entity, "action": "create", "data": data, "createdAt": NOW.0 - 600_000 })
}

fn note(name: &str, text: &str) -> Value {
    let data = json!({ "animal": "131", "kind": "note", "text": text });
    record(name, "event", &data)
}

fn milk(name: &str, litres: f64) -> Value {
    record(
        name,
        "milking",
        &json!({ "animal": "125", "litres": litres }),
    )
}

async fn cow(site: &Site, number: &str) -> AnimalId {
    let herd = site.farm.read(animals::list).await.unwrap();
    herd.iter().find(|a| a.number == number).unwrap().id
}

async fn notes(site: &Site) -> Vec<String> {
    let cow = cow(site, "131").await;
    let events = site.farm.read(move |conn| events::of_animal(conn, cow));
    let texts = events
        .await
        .unwrap()
        .into_iter()
        .filter_map(|e| match e.body {
            events::EventBody::Note { text } => Some(text),
            _ => None,
        });
    texts.collect()
}

async fn yields(site: &Site) -> Vec<i64> {
    let cow = cow(site, "125").await;
    let visits = site
        .farm
        .read(move |conn| milkings::of_animal(conn, cow, 500));
    visits.await.unwrap().iter().map(|v| v.yield_ml).collect()
}

/// Name and outcome of each.
fn fates(answer: &Value) -> Vec<(&str, &str)> {
    let records = answer["records"].as_array().unwrap();
    records
        .iter()
        .map(|r| {
            (
                r["localId"].as_str().unwrap_or("-"),
                r["outcome"].as_str().unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn each_record_is_stored_once_and_stands_alone() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let before = yields(&site).await.len();
    let records = [
        milk("m-1", 8.25),
        note("n-1", "limps"),
        note("n-2", ""),
        record(
            "m-2",
            "milking",
            &json!({ "animal": "nobody", "litres": 3.0 }),
        ),
        record(
            "m-3",
            "milking",
            &json!({ "animal": "125", "litres": 3.0, "colour": "red" }),
        ),
        record("x-1", "tractor", &json!({})),
        json!({ "localId": "x-2", "entity": "event", "action": "delete", "data": {}, "createdAt": NOW.0 }),
        json!("nothing"),
        note("n-3", "eats again"),
    ];
    let first = push(&site, worker, &records).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    let said = first.json();
    assert_eq!(said["synced"], json!(["m-1", "n-1", "n-3"]));
    let expected = [
        ("m-1", "stored"),
        ("n-1", "stored"),
        ("n-2", "rejected"),
        ("m-2", "rejected"),
        ("m-3", "rejected"),
        ("x-1", "rejected"),
        ("x-2", "rejected"),
        ("-", "rejected"),
        ("n-3", "stored"),
    ];
    assert_eq!(fates(&said), expected, "{said}");
    for (at, part) in [
        (3, "\"nobody\" is no number"),
        (4, "unknown field `colour`"),
        (5, "tractor"),
        (6, "delete"),
    ] {
        let record = &said["records"][at];
        assert_eq!(record["reason"], "invalid");
        assert!(
            record["detail"].as_str().unwrap().contains(part),
            "{record}"
        );
    }
    // The answer was lost: the phone pushes all of it again.
    let again = push(&site, worker, &records).await.json();
    assert_eq!(again["synced"], json!(["m-1", "n-1", "n-3"]));
    assert_eq!(fates(&again)[0].1, "known");
    let at_once = [note("n-4", "once"), note("n-4", "once")];
    let both = push(&site, worker, &at_once).await.json();
    assert_eq!(fates(&both), [("n-4", "stored"), ("n-4", "known")]);
    let mut all = notes(&site).await;
    all.sort();
    assert_eq!(all, ["eats again", "limps", "once"]);
    assert_eq!(yields(&site).await.len(), before + 1);
    assert!(yields(&site).await.contains(&8_250));
}

#[tokio::test]
async fn a_name_stands_for_one_content_and_one_person() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    push(&site, worker, &[note("1", "limps")]).await;
    let other = push(&site, worker, &[note("1", "coughs")]).await.json();
    assert_eq!(other["synced"], json!([]));
    let record = &other["records"][0];
    assert_eq!(
        (&record["outcome"], &record["reason"]),
        (&json!("rejected"), &json!("conflict"))
    );
    assert!(
        record["detail"]
            .as_str()
            .unwrap()
            .contains("a name of its own")
    );
    // Another person's phone counts from 1 too.
    let theirs = push(&site, As::Session(&seeded.manager), &[note("1", "coughs")]).await;
    assert_eq!(theirs.json()["synced"], json!(["1"]));
    assert_eq!(notes(&site).await.len(), 2);
}

#[tokio::test]
async fn who_may_not_write_anything_down_pushes_nothing() {
    let (site, seeded) = Site::full().await;
    let gone = seeded.manager.clone();
    site.post("/logout", As::Session(&gone), "").await;
    for (who, status) in [
        (As::Nobody, StatusCode::UNAUTHORIZED),
        (As::Session("made-up"), StatusCode::UNAUTHORIZED),
        (As::Session(&gone), StatusCode::UNAUTHORIZED),
        (As::Token("made-up"), StatusCode::UNAUTHORIZED),
        (As::Token(&seeded.read), StatusCode::FORBIDDEN),
    ] {
        let refused = push(&site, who, &[note("n", "never")]).await;
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    assert_eq!(notes(&site).await, Vec::<String>::new());
    let program = push(&site, As::Token(&seeded.manage), &[note("n", "now")]).await;
    assert_eq!(program.json()["synced"], json!(["n"]));
}

#[tokio::test]
async fn what_is_no_push_is_refused_whole() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    for body in [
        "",
        "[]",
        "{}",
        "{\"records\": 1}",
        "{\"records\": [], \"more\": 1}",
    ] {
        let refused = site
            .ask(Method::POST, PUSH, worker, "application/json", body)
            .await;
        assert_eq!(
            (refused.status, &refused.json()["reason"]),
            (StatusCode::BAD_REQUEST, &json!("malformed"))
        );
    }
    let many: Vec<Value> = (0..501).map(|n| note(&n.to_string(), "many")).collect();
    let refused = push(&site, worker, &many).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(
        refused.json()["detail"]
            .as_str()
            .unwrap()
            .contains("at most 500")
    );
    assert_eq!(notes(&site).await.len(), 0);
}

#[tokio::test]
async fn times_are_the_phones_and_no_clock_ends_a_hold() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let at = |name: &str, created: Value| {
        let mut record = note(name, name);
        record["createdAt"] = created;
        record
    };
    let said = push(
        &site,
        worker,
        &[
            at("hour", json!(NOW.0 - 3_600_000)),
            at("ahead", json!(NOW.0 + 86_400_000)),
            at("old", json!(NOW.0 - 61 * 86_400_000)),
            at("never", json!(5)),
            at("text", json!("yesterday")),
        ],
    )
    .await
    .json();
    assert_eq!(said["synced"], json!(["hour", "ahead"]), "{said}");
    let cow_131 = cow(&site, "131").await;
    let events = site.farm.read(move |conn| events::of_animal(conn, cow_131));
    let events = events.await.unwrap();
    let happened = |name: &str| {
        let is = |e: &&events::AnimalEvent| matches!(&e.body, events::EventBody::Note { text } if text == name);
        events.iter().find(is).unwrap().happened.0
    };
    assert_eq!(happened("hour"), NOW.0 - 3_600_000);
    assert!(
        happened("ahead") >= NOW.0 && happened("ahead") < NOW.0 + 3_600_000,
        "now, not tomorrow"
    );

    // A hold that ends between the milking and its telling keeps the milk out of the tank.
    held(&site, &seeded).await;
    let mut late = milk("late", 6.5);
    late["createdAt"] = json!(NOW.0 - 1_800_000);
    push(&site, worker, &[late]).await;
    let cow_125 = cow(&site, "125").await;
    let visits = site
        .farm
        .read(move |conn| milkings::of_animal(conn, cow_125, 50));
    let visits = visits.await.unwrap();
    let late = visits.iter().find(|v| v.yield_ml == 6_500).unwrap();
    assert_eq!(late.destination, farm_model::Destination::Withheld);
}

/// A treatment whose hold ended ten minutes ago.
async fn held(site: &Site, _: &Seeded) {
    let animal = cow(site, "125").await;
    let treated = events::NewEvent {
        animal,
        when: events::When::At(farm_model::UnixMillis(NOW.0 - 4_200_000)),
        body: events::EventBody::Treatment {
            medicine: "Oxytetracycline".into(),
            dose: String::new(),
            reason: String::new(),
            milk_hold_h: 1,
            meat_hold_h: 0,
        },
    };
    let told = site
        .farm
        .write(Actor::System, move |tx| events::record(tx, &treated));
    told.await.unwrap();
}

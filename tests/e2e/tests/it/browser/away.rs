//! A phone that the Wi-Fi leaves while a form is sent: nothing typed is lost, and nothing is stored twice.

use e2e::{
    Edge, EdgeOptions,
    browser::PHONE,
    edge::{OWNER, WORKER},
};
use reqwest::Client;
use serde_json::{Value, json};

use super::{Visit, add_cow, milkings};
use crate::{faults::move_to_small_disk, web};

/// Opens the form for the cow's milk and fills it.
async fn fill(visit: &Visit<'_>, litres: &str) {
    visit.go("/record").await;
    visit.tap("#record-cows a").await;
    let field = visit.see("input[name=litres]").await;
    field.send_keys(litres).await.unwrap();
}

/// The next form arrives and is stored; what the phone hears of it is nothing.
async fn lose_answer(visit: &Visit<'_>) {
    let script = "const real = window.fetch; \
        window.fetch = async (...given) => { window.fetch = real; await real(...given); throw new TypeError('lost'); };";
    visit.run(script).await;
}

async fn typed(visit: &Visit<'_>) -> String {
    let field = visit.see("input[name=litres]").await;
    field.prop("value").await.unwrap().unwrap_or_default()
}

#[tokio::test]
async fn milk_that_does_not_arrive_is_kept_and_sent_again() {
    let mut edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let address = edge.url("");
    let browser = {
        let visit = Visit::begin(&edge, PHONE).await;
        visit.log_in(WORKER).await;
        fill(&visit, "8.5").await;
        visit.browser
    };
    edge.kill();
    let browser = {
        let visit = Visit {
            edge: &edge,
            browser,
        };
        visit.tap("form.record button.primary").await;
        visit.see("form.record .unsent[role=alert]").await;
        let said = visit.text("form.record .unsent").await;
        assert!(said.contains("সংযোগ নেই"), "{said}");
        assert!(
            said.contains("নিজে থেকেই"),
            "it says that it tries again: {said}"
        );
        assert_eq!(typed(&visit).await, "8.5");
        visit.picture("away").await;
        let shown = visit.run("return location.href").await;
        assert!(shown.as_str().unwrap().starts_with(&address), "{shown}");
        // Whoever does not want to wait presses.
        visit.tap("form.record .unsent button").await;
        visit.see("form.record:not([aria-busy]) .unsent").await;
        assert_eq!(typed(&visit).await, "8.5");
        visit.browser
    };
    edge.spawn();
    edge.wait_ready();
    let visit = Visit {
        edge: &edge,
        browser,
    };
    visit.see("#flash .flash.good").await;
    let stored = milkings(&edge).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0]["yield_ml"], json!(8500));
}

#[tokio::test]
async fn a_full_disk_is_called_so_and_the_milk_is_stored_when_there_is_room() {
    let mut edge = Edge::start(&EdgeOptions::default());
    let data = edge.dir.path().join("data");
    let (_disk, filler) = move_to_small_disk(&mut edge, &data);
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(WORKER).await;
    fill(&visit, "8.5").await;
    filler.fill();
    // The write-ahead log has some room of its own; then there is none, and a phone is told to keep its record.
    let mut last = 0;
    let refused = loop {
        let said = push(&edge, last).await;
        if said["synced"] != json!([format!("note-{last}")]) {
            break said;
        }
        last += 1;
        assert!(last < 2_000, "the disk is never full");
    };
    let record = &refused["records"][0];
    assert_eq!(record["outcome"], "later", "{refused}");
    assert_eq!(record["reason"], "no-room", "{record}");
    visit.tap("form.record button.primary").await;
    visit.see("form.record .unsent[role=alert]").await;
    let said = visit.text("form.record .unsent p").await;
    visit.picture("full").await;
    for part in [
        "ডিস্ক ভরে গেছে",
        "মালিককে এখনই জানান",
        "যা লিখেছেন তা এখানেই আছে",
        "নিজে থেকেই",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(typed(&visit).await, "8.5");
    filler.clear();
    visit.see("#flash .flash.good").await;
    let stored = milkings(&edge).await;
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0]["yield_ml"], json!(8500));
    assert_eq!(push(&edge, last).await["records"][0]["outcome"], "stored");
}

/// Pushes a note as a phone would that was away.
async fn push(edge: &Edge, n: u32) -> Value {
    let record = json!({ "localId": format!("note-{n}"), "entity": "event", "action": "create", "createdAt": edge.farm_time(),
        "data": { "animal": "101", "kind": "note", "text": "limps ".repeat(100) } });
    let request = Client::new()
        .post(edge.url("/api/v1/mobile/sync/push"))
        .bearer_auth(&edge.token)
        .json(&json!({ "records": [record] }));
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn milk_whose_answer_is_lost_is_stored_once() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(WORKER).await;
    fill(&visit, "8.5").await;
    lose_answer(&visit).await;
    visit.tap("form.record button.primary").await;
    visit.see("form.record .unsent").await;
    assert_eq!(milkings(&edge).await.len(), 1, "it had arrived");
    visit.tap("form.record .unsent button").await;
    visit.see("#flash .flash.good").await;
    assert_eq!(milkings(&edge).await.len(), 1);

    // Corrected before it is sent again: what was stored stands, and is shown to be corrected.
    let cow = json!([{ "number": "102", "sex": "female", "status": "lactating" }]);
    web::tell(&edge, "/api/v1/animals", cow).await;
    fill(&visit, "6").await;
    lose_answer(&visit).await;
    visit.tap("form.record button.primary").await;
    visit.see("form.record .unsent").await;
    let field = visit.see("input[name=litres]").await;
    field.clear().await.unwrap();
    field.send_keys("7").await.unwrap();
    visit.tap("form.record .unsent button").await;
    visit.see("#flash .flash.warn").await;
    assert!(
        visit.text("h1").await.contains("৬"),
        "it shows what is stored"
    );
    assert_eq!(milkings(&edge).await.len(), 2);
}

#[tokio::test]
async fn a_form_that_may_not_be_sent_twice_waits_for_a_person() {
    let edge = Edge::start(&EdgeOptions::default());
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(OWNER).await;
    visit.go("/herd/new").await;
    let field = visit.see("main input[name=number]").await;
    field.send_keys("777").await.unwrap();
    visit
        .run("const real = window.fetch; window.fetch = async () => { window.fetch = real; throw new TypeError('away'); };")
        .await;
    field.send_keys("\u{e007}").await.unwrap(); // Enter
    visit.see("main form .unsent p").await;
    let said = visit.text("main form .unsent").await;
    assert!(said.contains("তারপর আবার পাঠান।"), "{said}");
    visit
        .run("document.querySelector('main form .unsent button').click()")
        .await;
    visit.see("#flash .flash.good").await;
    assert!(visit.text("main").await.contains("৭৭৭"));
}

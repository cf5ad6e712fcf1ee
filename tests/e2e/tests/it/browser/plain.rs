//! A phone on which the pages' script does not run: every form is a form, every link a link.

use e2e::{
    Edge, EdgeOptions,
    browser::PHONE,
    edge::{OWNER, WORKER},
};
use fantoccini::Locator;
use serde_json::{Value, json};

use super::{Visit, add_cow, milkings, publish};

/// A browser that the pages' one script never reaches. (The policy of every page allows no other, and a driver whose browser
/// runs no script at all waits for ever for its own.)
async fn plain(edge: &Edge) -> Visit<'_> {
    let visit = Visit::begin(edge, PHONE).await;
    visit.command("Network.enable", json!({})).await;
    let script = json!({ "urls": ["*.js*"] });
    visit.command("Network.setBlockedURLs", script).await;
    visit
}

/// Whether the page's own script has run: it unhides the keys of a PIN.
async fn scripts_run(visit: &Visit<'_>) -> bool {
    let pad = visit.see("[data-keypad]").await;
    pad.attr("hidden").await.unwrap().is_none()
}

#[tokio::test]
async fn milk_is_recorded_and_the_language_changed_without_scripts() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = plain(&edge).await;
    visit.log_in(WORKER).await;
    visit.go("/record").await;
    visit.tap("#record-cows a").await;
    assert!(
        !scripts_run(&visit).await,
        "this test is about a phone without them"
    );

    // What is missing is said on the page that the form answers with.
    visit.tap("form.record button.primary").await;
    let wrong = visit.see("input[name=litres][aria-invalid=true]").await;
    wrong.send_keys("৮.৫").await.unwrap();
    visit.tap("form.record button.primary").await;
    visit.see("#flash .flash.good").await;
    assert_eq!(milkings(&edge).await[0]["yield_ml"], json!(8500));

    // It can be taken back at once.
    visit.tap("#flash form.undo button").await;
    visit.see("#flash .flash.info").await;

    // Language and theme are in the fold under the person's picture.
    visit.go("/herd").await;
    visit.see("html[lang=bn]").await;
    visit.tap("details.user summary").await;
    visit.tap("details.user button[name=lang]").await;
    let number = visit.see("html[lang=en] main tbody th a").await;
    let number = number.text().await.unwrap();
    assert!(number.contains("101"), "{number}");
    visit.tap("details.user summary").await;
    visit.tap("details.user button[name=theme]").await;
    visit.see("html[data-theme=dark]").await;
}

#[tokio::test]
async fn the_inbox_is_settled_without_scripts() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    for id in ["stray", "water"] {
        let message = json!({ "quantity": 7.2, "id": id }).to_string();
        publish(&edge, "farm/milk/050001204999999/1", &message);
    }
    let visit = plain(&edge).await;
    visit.log_in(OWNER).await;
    visit.go("/inbox").await;
    visit.tap("#inbox-list button.tile[name=animal]").await;
    visit.see("#flash .flash.good").await;
    let owned = milkings(&edge).await;
    assert_eq!(
        owned.iter().filter(|m| m["animal"] == json!("101")).count(),
        1
    );

    // The question before milk is struck out opens by its address alone.
    visit.tap("#inbox-list .actions a[href^='#strike-']").await;
    visit.tap("dialog:target form button.danger").await;
    visit.see("#flash .flash.info").await;
    let left = visit
        .browser
        .client
        .find_all(Locator::Css("#inbox-list li"))
        .await
        .unwrap();
    assert!(left.is_empty(), "nothing is left to settle");
    let struck = milkings(&edge).await;
    assert_eq!(
        struck.iter().filter(|m| m["animal"] == Value::Null).count(),
        0
    );
}

#[tokio::test]
async fn a_filter_and_a_search_work_without_scripts() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = plain(&edge).await;
    visit.log_in(WORKER).await;
    visit.go("/record").await;
    let field = visit.see("input[name=q]").await;
    field.send_keys("৯৯৯").await.unwrap();
    visit.tap("form[role=search] button").await;
    visit.see("#record-cows .empty").await;
    visit.tap("a.search-tool").await;
    visit
        .see("#palette-q")
        .await
        .send_keys("১০১")
        .await
        .unwrap();
    visit.tap("#palette button").await;
    visit.see("#results a[href^='/herd/']").await;
}

//! One farm in two places, edited apart by people who look at its pages: at the appliance on a phone, at the hub on a desk.

use e2e::{
    Browser,
    browser::{DESK, PHONE},
    edge::OWNER,
    hub::{NAMES, PASSWORD, PEOPLE},
    until_async,
};
use serde_json::json;

use super::Visit;
use crate::{
    places::{Places, register_at_the_edge},
    web,
};

/// The farm's pages at the hub, before its manager.
async fn manager(places: &Places) -> Browser {
    let browser = Browser::start(DESK).await;
    let english = json!({ "url": places.hub.url("/"), "name": "lang", "value": "en" });
    browser.command("Network.setCookie", english).await;
    browser.open(&places.hub.url("/login")).await;
    browser.fill("input[name=email]", PEOPLE[1]).await;
    browser.fill("input[name=password]", PASSWORD).await;
    browser.tap("main form button.primary").await;
    browser.see("a.tile[href^='/manage/']").await;
    browser
}

/// Writes a calving of the cow down, and enters another cow.
async fn edit(browser: &Browser, farm: &str, cow: &str, number: &str) {
    browser
        .open(&format!("{farm}/herd/{cow}/events/calving"))
        .await;
    browser.tap("main form button.primary").await;
    browser.see("#flash .flash.good").await;
    browser.open(&format!("{farm}/herd/new")).await;
    browser.fill("main input[name=number]", number).await;
    browser.tap("main form button.primary").await;
    browser.see("#flash .flash.good").await;
}

/// The rows of the herd, which a phone shows as cards and a desk as a table.
async fn herd(browser: &Browser, farm: &str) -> String {
    browser.open(&format!("{farm}/herd")).await;
    browser.see("main tbody tr").await;
    let rows = browser
        .run("return document.querySelector('main tbody').textContent")
        .await;
    rows.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_in_both_inboxes_and_settled_in_both_at_once() {
    let places = Places::joined();
    register_at_the_edge(&places.edge, "101", "050001204000689").await;
    places.agree(1, 0);
    let cows = web::ask(&places.edge, "/api/v1/animals").await;
    let cow = cows["items"][0]["id"].as_str().unwrap();
    let here = places.edge.url("");
    let there = places.hub.url(&format!("/farms/{}", places.farm));
    let owner = Visit::begin(&places.edge, PHONE).await;
    owner.cookie("lang", "en").await;
    owner.log_in(OWNER).await;
    let manager = manager(&places).await;

    places.line.cut();
    edit(&owner, &here, cow, "102").await;
    edit(&manager, &there, cow, "201").await;
    let (one, other) = (herd(&owner, &here).await, herd(&manager, &there).await);
    assert!(one.contains("102") && !one.contains("201"), "{one}");
    assert!(other.contains("201") && !other.contains("102"), "{other}");
    for (browser, farm) in [(&*owner, &here), (&manager, &there)] {
        browser.open(&format!("{farm}/inbox")).await;
        browser.see("#inbox-list .empty").await;
    }

    // The manager's inbox stays open: what the merge has found comes to it by itself.
    places.line.mend();
    owner.go("/hub").await;
    owner.tap("form[action$='/hub/send'] button").await;
    manager.see("#inbox-list li.alert-card").await;
    owner.go("/inbox").await;
    owner.see("#inbox-list li.alert-card").await;
    for browser in [&*owner, &manager] {
        let said = browser.text("#inbox-list").await;
        assert!(said.contains(OWNER.0) && said.contains(NAMES[1]), "{said}");
        assert_eq!(said.matches("wrote down a calving").count(), 2, "{said}");
    }
    owner.picture("conflict-edge").await;
    manager.picture("conflict-hub").await;

    manager
        .tap("#inbox-list form[action$='/settle'] button")
        .await;
    manager.see("#inbox-list .empty").await;
    owner.see("#inbox-list .empty").await;
    until_async("both to show the same herd", 15, async || {
        let (one, other) = (herd(&owner, &here).await, herd(&manager, &there).await);
        (one == other && one.contains("102") && one.contains("201")).then_some(())
    })
    .await;
}

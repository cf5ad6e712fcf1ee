//! What workers and managers see and do, in a real browser. Pictures are left in `target/screenshots`.

mod alarm;
mod apart;
mod away;
mod contrast;
mod devices;
mod firmware;
mod keys;
mod language;
mod pages;
mod plain;
mod walk;

use std::process::Command;

use e2e::{
    Browser, Edge, EdgeOptions, Farm, FarmOptions,
    browser::{DESK, NARROW, PHONE, Screen},
    edge::{OWNER, WORKER},
};
use fantoccini::{Locator, key::Key};
use serde_json::{Value, json};

use crate::{store::MORNING, web};

/// A browser at an appliance.
struct Visit<'a> {
    edge: &'a Edge,
    browser: Browser,
}

impl<'a> Visit<'a> {
    async fn begin(edge: &'a Edge, screen: Screen) -> Self {
        Self {
            edge,
            browser: Browser::start(screen).await,
        }
    }

    async fn go(&self, path: &str) {
        self.open(&self.edge.url(path)).await;
    }

    /// Sets a cookie of the appliance.
    async fn cookie(&self, name: &str, value: &str) {
        let cookie = json!({ "url": self.edge.url("/"), "name": name, "value": value });
        self.command("Network.setCookie", cookie).await;
    }

    /// Logs in: name, then PIN.
    async fn log_in(&self, (name, pin): (&str, &str)) {
        self.go("/login").await;
        let tile = format!("//ul[@class='people']//a[contains(., '{name}')]");
        let tile = self.client.find(Locator::XPath(&tile)).await.unwrap();
        tile.click().await.unwrap();
        self.fill("input[name=pin]", pin).await;
        self.tap("form.pin-pad button.primary").await;
        self.see("nav.menu").await;
    }
}

impl std::ops::Deref for Visit<'_> {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

/// A cow in milk, with a tag.
async fn add_cow(edge: &Edge) {
    let cow = json!([{ "number": "101", "name": "লাল", "sex": "female", "status": "lactating", "tags": ["050001204000689"] }]);
    web::tell(edge, "/api/v1/animals", cow).await;
}

fn publish(edge: &Edge, topic: &str, message: &str) {
    let port = edge.mqtt.port().to_string();
    let status = Command::new("/usr/bin/mosquitto_pub")
        .args([
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-q",
            "1",
            "-t",
            topic,
            "-m",
            message,
        ])
        .status();
    assert!(status.is_ok_and(|s| s.success()), "mosquitto_pub publishes");
}

/// Treats the cow that stands first: her milk must not reach the tank.
async fn treat(edge: &Edge) -> String {
    let animals = web::ask(edge, "/api/v1/animals").await;
    let id = animals["items"][0]["id"].as_str().unwrap();
    let treatment = [
        ("medicine", "অক্সিটেট্রাসাইক্লিন"),
        ("milk_hold", "4"),
        ("meat_hold", "28"),
    ];
    let owner = web::Visitor::log_in(edge, OWNER).await;
    let path = format!("/herd/{id}");
    owner
        .send(&format!("{path}/events/treatment"), &treatment)
        .await;
    path
}

/// Walks the treated cow into the first stall, and waits until the page that is shown says so.
async fn walk_in(visit: &Visit<'_>) {
    // A reader tells a tag again and again while it is near.
    let alarm = Locator::Css("#stall-1.alarm");
    e2e::until_async("the alarm", 20, async || {
        publish(
            visit.edge,
            "farm/stall/1/tag",
            r#"{"tag": "050001204000689"}"#,
        );
        visit.browser.client.find(alarm).await.ok()
    })
    .await;
}

async fn milkings(edge: &Edge) -> Vec<Value> {
    let answer = web::ask(edge, "/api/v1/milkings").await;
    answer["items"].as_array().unwrap().clone()
}

async fn record_milk(visit: &Visit<'_>) {
    visit.log_in(WORKER).await;
    visit.go("/").await;
    // From here on three taps; the litres are typed.
    visit.tap("a[href='/record']").await;
    visit.tap("#record-cows a").await;
    visit
        .see("input[name=litres]")
        .await
        .send_keys("8.5")
        .await
        .unwrap();
    visit.tap("form.record button.primary").await;
    visit.see("#record-cows").await;
    let milkings = milkings(visit.edge).await;
    assert_eq!(milkings.len(), 1);
    assert_eq!(
        (&milkings[0]["animal"], &milkings[0]["yield_ml"]),
        (&json!("101"), &json!(8500))
    );
}

#[tokio::test]
async fn a_worker_logs_in_and_records_milk_in_three_taps() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, PHONE).await;
    record_milk(&visit).await;
    visit.picture("recorded").await;
}

async fn press(visit: &Visit<'_>, key: Key) {
    let focused = visit.browser.client.active_element().await.unwrap();
    focused
        .send_keys(&String::from(char::from(key)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_milking_is_seen_live_and_every_page_is_sound() {
    let dir = tempfile::tempdir().unwrap();
    let edge = Edge::start(&EdgeOptions {
        simulated: Some((MORNING, 30.0)),
        farm: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    });
    let options = FarmOptions {
        seed: 2,
        cows: 40,
        speed: 30.0,
        start_ms: edge.farm_time(),
        more: vec![],
    };
    let farm = Farm::start_with(&options, dir, &edge);
    farm.wait_provisioned();

    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(OWNER).await;
    visit.go("/parlour").await;
    visit.run("window.sameSight = true").await;
    visit.see("article.stall.milking .stall-milk").await;
    let before = visit.text("article.stall.milking .stall-milk").await;
    e2e::until_async("the milk to rise on the screen", 20, async || {
        (visit.text("article.stall.milking .stall-milk").await != before).then_some(())
    })
    .await;
    assert_eq!(
        visit.run("return window.sameSight").await,
        json!(true),
        "without loading the page again"
    );
    visit.picture("parlour").await;

    pages::check(&visit, "phone").await;
    drop(visit);
    for (screen, name) in [(NARROW, "narrow"), (DESK, "desk")] {
        let visit = Visit::begin(&edge, screen).await;
        visit.log_in(OWNER).await;
        pages::check(&visit, name).await;
    }
}

#[tokio::test]
async fn a_treated_cow_who_walks_in_raises_the_alarm_at_her_stall() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    web::tell(
        &edge,
        "/api/v1/places",
        json!([{ "kind": "stall", "slug": "1", "name": "স্টল ১" }]),
    )
    .await;
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(WORKER).await;
    visit.go("/health?kind=treatment").await;
    visit.tap("#health-cows a").await;
    visit
        .see("input[name=medicine]")
        .await
        .send_keys("Oxytetracycline")
        .await
        .unwrap();
    visit
        .see("input[name=milk_hold]")
        .await
        .send_keys("4")
        .await
        .unwrap();
    visit
        .see("input[name=meat_hold]")
        .await
        .send_keys("28")
        .await
        .unwrap();
    visit.tap("main form button.primary").await;
    visit.see("#flash .flash").await;

    visit.go("/parlour").await;
    assert!(
        visit
            .browser
            .client
            .find(Locator::Css("[data-alarm]"))
            .await
            .is_err(),
        "no alarm before she comes"
    );
    walk_in(&visit).await;
    visit.see("#stall-1.alarm[role=alert]").await;
    assert!(
        visit.text("#stall-1").await.contains("১০১"),
        "it names the cow"
    );
    visit.picture("withdrawal").await;
}

#[tokio::test]
async fn milk_of_nobody_is_given_to_a_cow_with_one_tap() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    publish(
        &edge,
        "farm/milk/050001204999999/1",
        r#"{"quantity": 7.2, "id": "stray"}"#,
    );
    assert_eq!(milkings(&edge).await[0]["animal"], Value::Null);
    let visit = Visit::begin(&edge, PHONE).await;
    visit.log_in(OWNER).await;
    visit.go("/inbox").await;
    visit.picture("inbox").await;
    visit.tap("#inbox-list button.tile[name=animal]").await;
    visit.see("#flash .flash").await;
    assert_eq!(milkings(&edge).await[0]["animal"], json!("101"));
}

#[tokio::test]
async fn bengali_comes_first_and_english_beside_it() {
    let edge = Edge::start(&EdgeOptions::default());
    add_cow(&edge).await;
    let visit = Visit::begin(&edge, DESK).await;
    visit.log_in(WORKER).await;
    visit.go("/record").await;
    assert_eq!(
        visit.run("return document.documentElement.lang").await,
        json!("bn")
    );
    assert!(visit.text("#record-cows").await.contains("১০১"));
    visit.picture("record-bn").await;
    let english = "//header//button[@name='lang' and @value='en']";
    let switches = visit
        .browser
        .client
        .find_all(Locator::XPath(english))
        .await
        .unwrap();
    for switch in switches {
        if switch.is_displayed().await.unwrap() {
            switch.click().await.unwrap();
            break;
        }
    }
    visit.see("html[lang=en] #record-cows").await;
    assert!(visit.text("#record-cows").await.contains("101"));
    visit.picture("record-en").await;
}

//! The tanks: what is measured now, the account, and the limits.

use axum::http::StatusCode;
use farm::places;
use farm_model::{Milli, PlaceKind};

use crate::client::{As, Site};

#[tokio::test]
async fn a_tank_says_how_full_and_cold_it_is_and_how_far_that_can_be_believed() {
    let (site, seeded) = Site::full().await;
    let page = site.get("/tanks", As::Session(&seeded.worker)).await.text;
    assert!(
        page.contains("66% full") && page.contains("658 L of 1,000 L"),
        "{page}"
    );
    // The newest reading is five minutes old, and one was due every minute.
    assert!(
        page.contains("Old") && page.contains("5 minutes ago"),
        "{page}"
    );
    // The second tank has no devices: nothing is drawn as zero.
    assert!(
        page.contains("level not known") && page.contains("not measured"),
        "{page}"
    );
}

#[tokio::test]
async fn the_account_keeps_a_treated_cows_milk_out() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let before = site.get("/tanks", manager).await.text;
    let account = |page: &str| page.split_once("id=\"tank-account\"").unwrap().1.to_owned();
    let form = "key=k&litres=9&destination=tank&repeat=yes";
    let path = format!("/record/{}", seeded.held);
    assert_eq!(
        site.post(&path, manager, form).await.status,
        StatusCode::SEE_OTHER
    );
    let after = site.get("/tanks", manager).await.text;
    assert!(
        !account(&before).contains("9.0 L</span>"),
        "{}",
        account(&before)
    );
    assert!(
        account(&after).contains("9.0 L</span>"),
        "{}",
        account(&after)
    );
}

#[tokio::test]
async fn limits_are_set_by_managers_in_either_languages_digits() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let find = || {
        site.farm
            .read(|conn| places::find(conn, PlaceKind::Tank, "1"))
    };
    let tank = find().await.unwrap().unwrap();
    let path = format!("/tanks/{}/edit", tank.id);
    let crossed = "name=T&slug=1&capacity=500&highest=2&lowest=5&minutes=20&table=";
    let refused = site.post(&path, manager, crossed).await;
    assert!(
        refused.text.contains("The lower limit must be below"),
        "{}",
        refused.text
    );
    let taken = site.post(&path, manager, "name=T&slug=2&highest=4").await;
    assert!(
        taken.text.contains("Another tank has this short name"),
        "{}",
        taken.text
    );
    // ৪.৫, in Bengali digits.
    let right = "name=T&slug=1&capacity=500&highest=%E0%A7%AA.%E0%A7%AB&lowest=&minutes=15&table=1200+0%0A100+100";
    let saved = site.post(&path, manager, right).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let details = find().await.unwrap().unwrap().details;
    assert_eq!(details.max_temperature, Some(Milli(4_500)));
    assert_eq!(
        (details.min_temperature, details.capacity_l),
        (None, Some(500))
    );
    assert_eq!(
        details.distance_to_level,
        [(1200, Milli(0)), (100, Milli(100_000))]
    );
    let worker = As::Session(&seeded.worker);
    assert_eq!(
        site.post(&path, worker, right).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn a_tanks_history_is_drawn_and_a_stall_has_none() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let places = site.farm.read(places::list).await.unwrap();
    let of = |kind| places.iter().find(|p| p.kind == kind).unwrap().id;
    let page = site
        .get(&format!("/tanks/{}?span=day", of(PlaceKind::Tank)), worker)
        .await
        .text;
    assert!(
        page.contains("Highest allowed") && page.contains("Milk of the last 14 days"),
        "{page}"
    );
    let stall = site
        .get(&format!("/tanks/{}", of(PlaceKind::Stall)), worker)
        .await;
    assert_eq!(stall.status, StatusCode::NOT_FOUND);
}

//! The herd's list, registering, and joining what is there twice.

use axum::http::StatusCode;
use farm::animals;
use farm_model::AnimalStatus;

use crate::client::{As, Site};

#[tokio::test]
async fn the_herd_is_filtered_searched_and_sorted() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let numbers = async |query: &str| -> Vec<String> {
        let page = site.get(&format!("/herd?{query}"), worker).await;
        assert_eq!(page.status, StatusCode::OK, "{query}");
        let cells = page.text.split("<th scope=\"row\">").skip(1);
        cells
            .map(|c| c.split_once("<strong>").unwrap().1[..3].to_owned())
            .collect()
    };
    assert_eq!(numbers("").await.len(), 40);
    assert_eq!(numbers("status=dry").await, ["131", "132", "133"]);
    assert_eq!(numbers("group=%E0%A6%95&status=heifer").await, ["135"]);
    // ১০৫, in Bengali digits; then the end of a tag; then a name.
    assert_eq!(numbers("q=%E0%A7%A7%E0%A7%A6%E0%A7%AB").await, ["105"]);
    assert_eq!(numbers("q=100004").await, ["105"]);
    assert_eq!(
        numbers("q=%E0%A6%B2%E0%A6%BE%E0%A6%B2%E0%A7%80").await,
        ["101", "121"]
    );
    assert_eq!(numbers("sort=number&order=down").await[0], "140");
    let worker_sees = site.get("/herd", worker).await.text;
    assert!(!worker_sees.contains("href=\"/herd/new\""));
    // The cow on medicine is told apart.
    assert_eq!(worker_sees.matches("Milk not in the tank").count(), 1);
}

#[tokio::test]
async fn the_herd_leaves_as_a_spreadsheet() {
    let (site, seeded) = Site::full().await;
    let file = site
        .get("/herd/export.csv?status=dry", As::Session(&seeded.worker))
        .await;
    let lines: Vec<&str> = file.text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines.len(), 4);
    assert!(lines[0].starts_with("Number,Name,"), "{}", lines[0]);
    assert!(
        lines[0].ends_with(",Milk not in the tank,Not for slaughter"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].starts_with("131,টগর,,050000000100030,") && lines[1].ends_with(",0,0"),
        "{}",
        lines[1]
    );
    let columns = |line: &str| line.split(',').count();
    assert_eq!(columns(lines[0]), columns(lines[1]));
}

#[tokio::test]
async fn an_animal_is_registered_and_what_is_wrong_is_said_beside_the_field() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let taken = "number=101&status=lactating&sex=female&tag=0500&born=2031-01-01&lactation=2";
    let refused = site.post("/herd/new", manager, taken).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for said in [
        "A tag has 15 digits",
        "This day has not come yet",
        "Write the day and the count together",
        "value=\"0500\"",
    ] {
        assert!(refused.text.contains(said), "{said}");
    }
    let taken = "number=101&status=lactating&sex=female&tag=050000000100001";
    let refused = site.post("/herd/new", manager, taken).await;
    assert!(
        refused.text.contains("Another animal has this number"),
        "{}",
        refused.text
    );
    // ২০১, in Bengali digits, with the tag in groups as it is printed.
    let right = "number=%E0%A7%A8%E0%A7%A6%E0%A7%A7&name=Rani&status=lactating&sex=female&dam=101\
                 &tag=050+000+000+200+001&calved=2026-10-01&lactation=3";
    let done = site.post("/herd/new", manager, right).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let found = site
        .farm
        .read(|conn| animals::by_text(conn, "050000000200001"))
        .await;
    let animal = found.unwrap().unwrap();
    assert_eq!(
        (animal.number.as_str(), animal.status),
        ("201", AnimalStatus::Lactating)
    );
    assert_eq!(animal.dam, Some(seeded.cow));
    let page = site.get(&done.location, manager).await.text;
    assert!(
        page.contains("Lactation 3") && page.contains("050000000200001"),
        "{page}"
    );
}

#[tokio::test]
async fn an_entry_that_is_there_twice_is_joined_and_its_address_leads_on() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let form = format!("stays={}", seeded.cow);
    let done = site
        .post(&format!("/herd/{}/join", seeded.held), manager, &form)
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let old = site.get(&format!("/herd/{}", seeded.held), manager).await;
    assert_eq!(old.location, format!("/herd/{}", seeded.cow));
    // Her medicine came along.
    let page = site.get(&old.location, manager).await.text;
    assert!(page.contains("Her milk must NOT go into the tank"));
    let itself = site
        .post(&format!("/herd/{}/join", seeded.cow), manager, &form)
        .await;
    assert_eq!(itself.status, StatusCode::CONFLICT);
}

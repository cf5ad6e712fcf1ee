//! The milk records: finding, paging, correcting, striking out and bringing back.

use axum::http::StatusCode;
use farm::milkings;
use farm_model::{Body, Clock as _, DeviceId, Observation, VisitId};

use crate::client::{As, Site};

/// The addresses of the records that a page lists.
fn records(page: &str) -> Vec<String> {
    let rows = page.split("<th scope=\"row\"><a href=\"/milkings/").skip(1);
    rows.map(|r| r.split('"').next().unwrap().to_owned())
        .collect()
}

fn link(page: &str, rel: &str) -> Option<String> {
    let after = page.split_once(&format!("rel=\"{rel}\" href=\""))?.1;
    Some(after.split('"').next()?.replace("&amp;", "&"))
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let mut path = "/milkings?from=2026-11-18&to=2026-11-19&sort=most".to_owned();
    let mut seen = Vec::new();
    let mut pages = Vec::new();
    loop {
        let page = site.get(&path, worker).await.text;
        seen.extend(records(&page));
        pages.push(path);
        match link(&page, "next") {
            Some(next) => path = next,
            None => {
                // 2 days, 2 sessions, 30 cows.
                let before = site.get(&link(&page, "prev").unwrap(), worker).await.text;
                assert_eq!(records(&before), seen[50..100]);
                break;
            }
        }
    }
    assert_eq!((seen.len(), pages.len()), (120, 3));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 120);
}

#[tokio::test]
async fn records_are_found_by_day_session_and_cow() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let count = async |query: &str| {
        let page = site
            .get(
                &format!("/milkings?from=2026-11-19&to=2026-11-19&{query}"),
                worker,
            )
            .await;
        records(&page.text).len()
    };
    assert_eq!(count("session=2").await, 30);
    assert_eq!(count("cow=%E0%A7%A7%E0%A7%A6%E0%A7%A7").await, 2);
    assert_eq!(count("cow=050000000100000").await, 2);
    assert_eq!(count(&format!("animal={}&session=1", seeded.cow)).await, 1);
    let nobody = site.get("/milkings?cow=9999", worker).await.text;
    assert!(nobody.contains("No cow is called that"), "{nobody}");
    let file = site.get("/milkings/export.csv?cow=101", worker).await.text;
    // A head, 59 days of two sessions, and this morning.
    assert_eq!(file.lines().count(), 1 + 59 * 2 + 1);
    assert!(
        file.contains("2026-11-20T05:00:00+06:00,1,101,লালী"),
        "{file}"
    );
}

#[tokio::test]
async fn a_record_is_corrected_struck_out_and_brought_back() {
    let (site, seeded) = Site::full().await;
    let (worker, manager) = (As::Session(&seeded.worker), As::Session(&seeded.manager));
    let list = site.get("/milkings?cow=101", manager).await.text;
    let id = records(&list).remove(0);
    let path = format!("/milkings/{id}");
    let visit: VisitId = id.parse().unwrap();
    let now = async || {
        site.farm
            .read(move |conn| milkings::get(conn, visit))
            .await
            .unwrap()
            .unwrap()
    };
    let form = "litres=7.25&destination=discarded&why=spilt";
    let others = site.post(&path, worker, form).await;
    assert_eq!(
        others.status,
        StatusCode::FORBIDDEN,
        "a worker corrects what she wrote herself"
    );
    let absurd = site
        .post(&path, manager, "litres=700&destination=tank")
        .await;
    assert!(
        absurd.text.contains("between 0 and 80 litres"),
        "{}",
        absurd.text
    );
    site.post(&path, manager, form).await;
    assert_eq!(now().await.yield_ml, 7_250);
    let same = site.post(&path, manager, form).await;
    assert_eq!(same.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = site.get(&path, manager).await.text;
    assert!(
        page.contains("Corrected: 7.3 L") && page.contains("spilt"),
        "{page}"
    );
    let void = site
        .post(&format!("{path}/void"), manager, "next=/milkings")
        .await;
    assert!(now().await.voided);
    assert_eq!(void.location, format!("/milkings?done=voided.{id}"));
    let undo = site.get(&void.location, manager).await.text;
    assert!(undo.contains(&format!("{path}/restore")));
    site.post(&format!("{path}/restore"), manager, "next=/milkings")
        .await;
    assert!(!now().await.voided);
    assert_eq!(now().await.yield_ml, 7_250, "the correction still stands");
    let again = site.post(&format!("{path}/restore"), manager, "").await;
    assert_eq!(again.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn milk_that_cannot_be_is_settled_from_the_inbox() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let at = site.farm.clock().now();
    let told = Observation {
        device: DeviceId::new(),
        at,
        body: Body::Milked {
            animal: "101".into(),
            session: "1".into(),
            yield_ml: 95_000,
            fat: None,
            snf: None,
        },
        raw: Vec::new(),
        key: Some("k".into()),
    };
    let recorded = site.farm.write(farm::Actor::System, move |tx| {
        milkings::record_told(tx, &told)
    });
    let id = recorded.await.unwrap().unwrap().visit();
    let inbox = site.get("/inbox", manager).await.text;
    let item = inbox
        .split("<li class=\"card alert-card\"")
        .find(|item| item.contains("More milk than a cow gives"))
        .expect("it waits");
    assert!(
        item.contains("95.0 L") && item.contains(&format!("href=\"/milkings/{id}\"")),
        "{item}"
    );
    assert!(!item.contains("/assign"), "whose it was is no question");
    let form = "litres=9.5&destination=tank";
    let saved = site.post(&format!("/milkings/{id}"), manager, form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let inbox = site.get("/inbox", manager).await.text;
    assert!(!inbox.contains("More milk than a cow gives"), "{inbox}");
}

#[tokio::test]
async fn only_a_manager_releases_milk_that_was_dated_before_a_treatment() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let cow = seeded.cow;
    let treatment = "medicine=x&milk_hold=4&meat_hold=28";
    let path = format!("/herd/{cow}/events/treatment");
    let treated = site.post(&path, worker, treatment).await;
    assert_eq!(treated.status, StatusCode::SEE_OTHER, "{}", treated.text);
    let form = "key=late&litres=6&destination=tank&session=2026-11-19%2F2&repeat=yes";
    let path = format!("/record/{cow}");
    let saved = site.post(&path, worker, form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let id = VisitId::derive("hand", "late");
    let path = format!("/milkings/{id}");
    let page = site.get(&path, worker).await.text;
    assert!(
        page.contains("A manager who is certain of the time"),
        "{page}"
    );
    let release = "litres=6&destination=tank";
    let refused = site.post(&path, worker, release).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("Ask a manager"));
    let released = site
        .post(&path, As::Session(&seeded.manager), release)
        .await;
    assert_eq!(released.status, StatusCode::SEE_OTHER);

    // The same form again, with other litres: what was stored stands.
    let again = form.replace("litres=6", "litres=9");
    let known = site.post(&format!("/record/{cow}"), worker, &again).await;
    assert_eq!(known.location, format!("/milkings/{id}?done=kept_before"));
    let page = site.get(&known.location, worker).await.text;
    assert!(page.contains("This milking had arrived before"), "{page}");
}

//! An animal's page: holds, events and their mistakes, tags.

use axum::http::StatusCode;
use farm::{animals, events, holds};

use crate::{
    client::{As, Site},
    seed::Seeded,
};

async fn is_held(site: &Site, seeded: &Seeded) -> bool {
    let (cow, now) = (seeded.cow, farm_model::Clock::now(&**site.farm.clock()));
    site.farm
        .read(move |conn| holds::milk_is_held(conn, cow, &now))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_form_that_is_sent_again_writes_its_event_once() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let cow = format!("/herd/{}", seeded.cow);
    let path = format!("{cow}/events/treatment");
    let key = |page: String| {
        let key = page.split("name=\"key\" value=\"").nth(1).unwrap();
        key.split('"').next().unwrap().to_owned()
    };
    let [first, second] = [
        key(site.get(&path, worker).await.text),
        key(site.get(&path, worker).await.text),
    ];
    assert_ne!(first, second);
    let given = async || {
        let cow = seeded.cow;
        let events = site.farm.read(move |conn| events::of_animal(conn, cow));
        let treated = |e: &events::AnimalEvent| e.body.key() == "treatment";
        events.await.unwrap().into_iter().filter(treated).count()
    };
    for (key, count) in [(&first, 1), (&first, 1), (&second, 2)] {
        let form =
            format!("key={key}&medicine=Ceftiofur&dose=&reason=&milk_hold=2&meat_hold=4&when=");
        let done = site.post(&path, worker, &form).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
        assert_eq!(given().await, count);
    }
    // What was refused has used no key up.
    let third = key(site.get(&path, worker).await.text);
    let form = |hold| {
        format!("key={third}&medicine=Ceftiofur&dose=&reason=&milk_hold={hold}&meat_hold=4&when=")
    };
    let refused = site.post(&path, worker, &form(999)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(key(refused.text), third);
    site.post(&path, worker, &form(2)).await;
    assert_eq!(given().await, 3);
}

#[tokio::test]
async fn a_treatment_holds_the_milk_until_it_is_struck_out() {
    let (site, seeded) = Site::full().await;
    let (worker, manager) = (As::Session(&seeded.worker), As::Session(&seeded.manager));
    let cow = format!("/herd/{}", seeded.cow);
    assert!(
        !site
            .get(&cow, worker)
            .await
            .text
            .contains("must NOT go into the tank")
    );
    // ২ days of milk, in Bengali digits.
    let form = "medicine=Ceftiofur&dose=&reason=&milk_hold=%E0%A7%A8&meat_hold=4&when=";
    let done = site
        .post(&format!("{cow}/events/treatment"), worker, form)
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    assert!(is_held(&site, &seeded).await);
    let page = site.get(&cow, manager).await.text;
    assert!(page.contains("class=\"hold\" role=\"alert\""), "{page}");
    assert!(page.contains("Until 22 November, 06:40"), "{page}");
    let strike = page
        .split("/strike?event=")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let asked = site
        .get(&format!("{cow}/strike?event={strike}"), manager)
        .await;
    assert!(asked.text.contains("Strike out: Treatment: Ceftiofur?"));
    let by_worker = site
        .post(&format!("{cow}/strike"), worker, &format!("event={strike}"))
        .await;
    assert_eq!(by_worker.status, StatusCode::FORBIDDEN);
    site.post(
        &format!("{cow}/strike"),
        manager,
        &format!("event={strike}"),
    )
    .await;
    assert!(!is_held(&site, &seeded).await);
    let page = site.get(&cow, manager).await.text;
    assert!(page.contains("<s>Treatment: Ceftiofur</s>"), "{page}");
}

#[tokio::test]
async fn a_form_that_cannot_be_taken_says_why_and_keeps_what_was_typed() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let cow = format!("/herd/{}/events", seeded.cow);
    for (kind, form, said) in [
        (
            "treatment",
            "medicine=X&milk_hold=&meat_hold=0",
            "Write the days; 0 when there is none.",
        ),
        (
            "treatment",
            "medicine=X&milk_hold=900&meat_hold=0",
            "At most 366 days.",
        ),
        (
            "treatment",
            "medicine=X&milk_hold=1&meat_hold=0&when=2031-01-01T08:00",
            "This has not come yet.",
        ),
        ("calving", "lactation=2&born=1&live=2", "Check the number."),
        ("weight", "weight=9000", "Between 1 and 2,000 kg."),
        ("pregnancy_check", "", "Choose one."),
        ("note", "text=++", "Fill this in."),
    ] {
        let refused = site.post(&format!("{cow}/{kind}"), worker, form).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{kind}");
        assert!(refused.text.contains(said), "{kind}: {said}");
        assert_eq!(refused.text.contains("value=\"X\""), kind == "treatment");
    }
    let unknown = site.get(&format!("{cow}/wedding"), worker).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_kind_of_event_can_be_written_down_and_read_again() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let cow = format!("/herd/{}", seeded.cow);
    for (kind, form, said) in [
        ("heat", "day=2026-11-02", "2 November 2026"),
        ("insemination", "sire=BR-12&day=2026-11-03", "BR-12"),
        ("pregnancy_check", "result=pregnant&day=", "Pregnant"),
        (
            "health",
            "symptom=Limps&urgent=yes",
            "Illness or injury (urgent)",
        ),
        ("weight", "weight=412.5", "413 kg"),
        ("note", "text=Calm", "Calm"),
        ("dry_off", "day=", "Dry-off"),
        (
            "calving",
            "lactation=2&born=2&live=1",
            "1 of 2 calves alive, lactation 2",
        ),
    ] {
        let done = site
            .post(&format!("{cow}/events/{kind}"), worker, form)
            .await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{kind}: {}", done.text);
        let page = site.get(&format!("{cow}?events=all"), worker).await.text;
        assert!(page.contains(said), "{kind}: {said}");
    }
}

#[tokio::test]
async fn a_new_tag_takes_the_old_ones_place() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let here = format!("/herd/{}/tags", seeded.cow);
    let taken = site
        .post(&here, manager, "tag=050000000100001&old=instead")
        .await;
    assert!(
        taken.text.contains("Another animal wears this tag"),
        "{}",
        taken.text
    );
    let done = site
        .post(&here, manager, "tag=050000000300001&old=instead")
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
    let cow = seeded.cow;
    let tags = site
        .farm
        .read(move |conn| animals::tags(conn, cow))
        .await
        .unwrap();
    let worn: Vec<_> = tags
        .iter()
        .filter(|t| t.until.is_none())
        .map(|t| t.tag.to_string())
        .collect();
    assert_eq!((tags.len(), worn), (2, vec!["050000000300001".to_owned()]));
}

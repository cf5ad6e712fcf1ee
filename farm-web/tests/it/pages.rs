//! What people do on the pages.

use axum::http::StatusCode;
use farm::{
    Actor,
    settings::{self, Settings},
};

use crate::{
    client::{As, Site},
    seed::PIN,
};

#[tokio::test]
async fn the_first_owner_needs_the_code_and_there_is_no_second_setup() {
    let site = Site::empty();
    assert_eq!(site.get("/login", As::Nobody).await.location, "/setup");
    let wrong = "code=000000&farm=&name=Rahima&pin=2580&pin_again=2580";
    let refused = site.post("/setup", As::Nobody, wrong).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let differs = "code=123456&farm=&name=Rahima&pin=2580&pin_again=2581";
    let refused = site.post("/setup", As::Nobody, differs).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    // Bengali digits are digits.
    let right = "code=%E0%A7%A7%E0%A7%A8%E0%A7%A9%E0%A7%AA%E0%A7%AB%E0%A7%AC&farm=&name=Rahima&pin=2580&pin_again=2580";
    let done = site.post("/setup", As::Nobody, right).await;
    assert_eq!(
        (done.status, done.location.as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
    assert!(done.cookie.contains("HttpOnly") && done.cookie.contains("SameSite=Lax"));
    let secret = done.cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    assert_eq!(
        site.get("/", As::Session(&secret)).await.status,
        StatusCode::OK
    );
    let again = site.post("/setup", As::Nobody, right).await;
    assert_eq!(again.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_setup_code_cannot_be_guessed_by_trying() {
    let site = Site::empty();
    let form = |code: &str| format!("code={code}&farm=&name=Rahima&pin=2580&pin_again=2580");
    for n in 0..5 {
        let refused = site
            .post("/setup", As::Nobody, &form(&format!("{n:06}")))
            .await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    // From now on even the right one has to wait, and a try while waiting does not make it longer.
    for code in ["999999", "123456"] {
        let refused = site.post("/setup", As::Nobody, &form(code)).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        assert!(
            refused.text.contains("f-code-error") && refused.text.contains("৩০ সে"),
            "{}",
            refused.text
        );
    }
    let nobody = site.farm.read(farm::staff::list).await.unwrap();
    assert!(nobody.is_empty());
}

#[tokio::test]
async fn a_right_setup_code_with_a_slip_elsewhere_costs_nothing() {
    let site = Site::empty();
    for _ in 0..8 {
        let slip = "code=123456&farm=&name=Rahima&pin=2580&pin_again=2581";
        let refused = site.post("/setup", As::Nobody, slip).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    }
    let right = "code=123456&farm=&name=Rahima&pin=2580&pin_again=2580";
    let done = site.post("/setup", As::Nobody, right).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_told_the_limit() {
    let (site, seeded) = Site::full().await;
    let manage = As::Token(&seeded.manage);
    let large = "0".repeat(32 * 1024 * 1024);
    let refused = site
        .post_json("/api/v1/observations", manage, &large.into())
        .await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let problem = refused.json();
    assert_eq!(problem["reason"], "too-large");
    assert_eq!(problem["status"], 413);
    assert_eq!(
        problem["detail"],
        "a body has at most 33554432 bytes: send it in parts"
    );
    let form = format!("who=1&pin={}", "0".repeat(256 * 1024));
    let refused = site.post("/login", As::Nobody, &form).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text.contains("<html"), "{}", refused.text);
}

#[tokio::test]
async fn wrong_pins_lock_out_and_say_for_how_long() {
    let (site, _) = Site::full().await;
    let people = site.farm.read(farm::staff::list).await.unwrap();
    let who = people[0].id;
    let form = format!("who={who}&pin=0000&next=/herd");
    for _ in 0..5 {
        let refused = site.post("/login", As::Nobody, &form).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    let right = format!("who={who}&pin={PIN}&next=/herd");
    let locked = site.post("/login", As::Nobody, &right).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(
        locked.text.contains("সেকেন্ড") || locked.text.contains("সে"),
        "{}",
        locked.text
    );
    let other = format!("who={}&pin={PIN}&next=//evil.test", people[1].id);
    let welcome = site.post("/login", As::Nobody, &other).await;
    assert_eq!(
        (welcome.status, welcome.location.as_str()),
        (StatusCode::SEE_OTHER, "/")
    );
}

#[tokio::test]
async fn milk_is_recorded_once_and_a_second_milking_must_be_meant() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let cows = site.farm.read(farm::animals::list).await.unwrap();
    let cow = cows.iter().find(|a| a.number == "125").unwrap();
    let path = format!("/record/{}", cow.id);
    let form = "key=one&litres=%E0%A7%AE.%E0%A7%AB&destination=tank";
    let saved = site.post(&path, worker, form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    assert!(
        saved.location.starts_with("/record?done=milked."),
        "{}",
        saved.location
    );
    let page = site.get(&saved.location, worker).await;
    assert!(page.text.contains("/void\""), "the way back is offered");
    // The same form sent again is the same milk.
    let again = site.post(&path, worker, form).await;
    assert_eq!(again.location, saved.location);
    // Another form in the session is refused until it is meant.
    let second = site
        .post(&path, worker, "key=two&litres=3&destination=tank")
        .await;
    assert_eq!(second.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(second.text.contains("name=\"repeat\"") && second.text.contains("8.5 L"));
    let meant = site
        .post(
            &path,
            worker,
            "key=two&litres=3&destination=tank&repeat=yes",
        )
        .await;
    assert_eq!(meant.status, StatusCode::SEE_OTHER);
    let nonsense = site
        .post(
            &path,
            worker,
            "key=three&litres=lots&destination=tank&repeat=yes",
        )
        .await;
    assert_eq!(nonsense.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn milk_without_a_cow_is_assigned_in_the_inbox() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let inbox = site.get("/inbox", manager).await;
    let action = format!("/inbox/{}/assign", seeded.unidentified);
    assert!(inbox.text.contains(&action));
    let done = site
        .post(&action, manager, &format!("animal={}", seeded.cow))
        .await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    let id = seeded.unidentified;
    let visit = site
        .farm
        .read(move |conn| farm::milkings::get(conn, id))
        .await
        .unwrap();
    assert_eq!(visit.unwrap().animal, Some(seeded.cow));
    assert!(!site.get("/inbox", manager).await.text.contains(&action) || seeded.cow != seeded.held);
}

#[tokio::test]
async fn whose_milk_it_was_is_asked_in_the_readers_language() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let inbox = site.get("/inbox", manager).await.text;
    let (_, tiles) = inbox
        .split_once("name=\"animal\" value=\"")
        .expect("cows to choose from");
    let id: farm_model::AnimalId = tiles.split('"').next().unwrap().parse().unwrap();
    let cow = site
        .farm
        .read(move |conn| farm::animals::get(conn, id))
        .await;
    let number = cow.unwrap().expect("she is in the herd").number;
    let form = format!("number={number}&name=x&name_en=Sundari&status=lactating&sex=female");
    let saved = site.post(&format!("/herd/{id}/edit"), manager, &form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let inbox = site.get("/inbox", manager).await.text;
    assert!(
        inbox.contains(&format!("<strong>{number} Sundari</strong>")),
        "{inbox}"
    );
}

#[tokio::test]
async fn a_withdrawal_is_an_alarm_in_words_on_its_stall() {
    let (site, seeded) = Site::full().await;
    let page = site.get("/parlour", As::Session(&seeded.worker)).await;
    let card = page
        .text
        .split("<article")
        .find(|c| c.contains("id=\"stall-3\""))
        .unwrap();
    assert!(
        card.contains("data-alarm=\"stall-3\"") && card.contains("role=\"alert\""),
        "{card}"
    );
    assert!(card.contains("NOT in the tank"), "{card}");
}

#[tokio::test]
async fn a_session_that_was_ended_is_over() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    assert_eq!(site.post("/logout", worker, "").await.location, "/login");
    let next = site.get("/herd", worker).await;
    assert_eq!(next.location, "/login?next=/herd");
}

#[tokio::test]
async fn a_phone_that_has_not_chosen_reads_the_farms_language() {
    let (site, _) = Site::full().await;
    for (language, title) in [("bn", "আপনি কে?"), ("en", "Who are you?")] {
        site.farm
            .write(Actor::System, move |tx| {
                let settings = Settings {
                    language: language.into(),
                    ..settings::load(tx.conn())?
                };
                settings::save(tx, &settings)
            })
            .await
            .unwrap();
        for path in ["/login", "/nowhere"] {
            let page = site.get(path, As::Nobody).await;
            assert!(
                page.text.contains(&format!("<html lang=\"{language}\"")),
                "{path}: {}",
                page.text
            );
        }
        let page = site.get("/login", As::Nobody).await;
        assert!(page.text.contains(title), "{}", page.text);
    }
}

#[tokio::test]
async fn a_sensors_history_leaves_as_a_spreadsheet() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let page = format!("/sensors/{}/temperature", seeded.probe);
    let link = format!("href=\"{page}/export.csv?span=day\"");
    assert!(site.get(&page, worker).await.text.contains(&link));
    let file = site
        .get(&format!("{page}/export.csv?span=day"), worker)
        .await;
    let lines: Vec<&str> = file.text.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(
        lines[0],
        "Time,Device,Quantity,Value,Lowest,Highest,Unit,Good values,Left out"
    );
    let cells: Vec<&str> = lines[1].split(',').collect();
    assert!(cells[0].parse::<jiff::Timestamp>().is_ok(), "{}", cells[0]);
    assert_eq!((cells[2], cells[6]), ("Temperature", "°C"));
    assert!(cells[3].parse::<f64>().is_ok(), "{}", lines[1]);
}

#[tokio::test]
async fn what_befalls_a_cow_is_written_down_from_anywhere() {
    let (site, seeded) = Site::full().await;
    for secret in [&seeded.worker, &seeded.manager, &seeded.owner] {
        let page = site.get("/tanks", As::Session(secret)).await;
        assert!(page.text.contains("<a href=\"/health\">"), "{}", page.text);
    }
}

#[tokio::test]
async fn errors_are_pages_for_people() {
    let (site, seeded) = Site::full().await;
    let lost = site.get("/nowhere", As::Session(&seeded.worker)).await;
    assert_eq!(lost.status, StatusCode::NOT_FOUND);
    assert!(
        lost.text
            .contains("<h1>There is no such page.</h1><p>Go back to the start.</p>")
    );
    assert!(
        lost.text.contains("<nav class=\"menu\""),
        "who is logged in keeps the menu"
    );
    let stranger = site.get("/nowhere", As::Nobody).await;
    assert_eq!(stranger.status, StatusCode::NOT_FOUND);
    assert!(!stranger.text.contains("<nav class=\"menu\""));
    let refused = site.get("/staff", As::Session(&seeded.worker)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(
        refused.text.contains("Ask a manager or the owner.")
            && refused.text.contains("<nav class=\"menu\"")
    );
}

#[tokio::test]
async fn a_cow_that_is_not_there_is_said_beside_the_milk() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let id = seeded.unidentified;
    let asked = site
        .post(
            &format!("/inbox/{id}/assign"),
            manager,
            &format!("other-{id}=999999"),
        )
        .await;
    assert_eq!(asked.location, "/inbox?done=no_such_cow");
    let page = site.get(&asked.location, manager).await;
    assert!(page.text.contains("No cow has this number or tag."));
}

#[tokio::test]
async fn who_writes_onto_a_full_disk_is_told_so_and_not_to_try_again() {
    let (site, seeded) = Site::full().await;
    let pages = |limit: &'static str| {
        site.farm.write(Actor::System, move |tx| {
            Ok::<_, farm::StoreError>(tx.conn().query_row(limit, [], |_| Ok(()))?)
        })
    };
    pages("PRAGMA max_page_count = 1").await.unwrap();
    let (note, owner) = (
        format!("/herd/{}/events/note", seeded.cow),
        As::Session(&seeded.owner),
    );
    // Notes go into free room until a page more is needed.
    let body = format!("day=&text={}", "x".repeat(400));
    let mut refused = site.post(&note, owner, &body).await;
    for _ in 0..200 {
        if refused.status != StatusCode::SEE_OTHER {
            break;
        }
        refused = site.post(&note, owner, &body).await;
    }
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        refused.text.contains("disk is full or broken"),
        "{}",
        refused.text
    );
    pages("PRAGMA max_page_count = 1000000").await.unwrap();
    let stored = site.post(&note, owner, &body).await;
    assert_eq!(stored.status, StatusCode::SEE_OTHER, "{}", stored.text);
}

#[tokio::test]
async fn a_form_beyond_its_limit_is_too_large_and_not_unreadable() {
    let (site, seeded) = Site::full().await;
    let note = format!("/herd/{}/events/note", seeded.cow);
    let body = format!("day=&text={}", "x".repeat(300 * 1024));
    let refused = site.post(&note, As::Session(&seeded.owner), &body).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(refused.text.contains("Send less"), "{}", refused.text);
}

//! Settings and staff: what cannot be taken is said at its field, what was typed stays, and nothing changes.

use axum::http::StatusCode;
use farm::{plan, settings, staff};
use farm_model::staff::Role;

use crate::client::{Answer, As, Site};

/// The page was drawn again with all of this on it.
fn check(refused: &Answer, said: &[&str]) {
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    for said in said {
        assert!(refused.text.contains(said), "{said}\n{}", refused.text);
    }
}

#[tokio::test]
async fn settings_that_cannot_be_meant_are_said_at_their_fields() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let before = site.farm.read(settings::load).await.unwrap();
    let form = "name=&language=en&target=much&drop=3&timezone=Asia%2FAtlantis";
    check(
        &site.post("/settings", manager, form).await,
        &[
            "Fill this in.",
            "Write a number, such as 12.5.",
            "Between 5 and 95.",
            "There is no such time zone.",
            "value=\"much\"",
            "value=\"Asia/Atlantis\"",
            "f-drop-error",
            // The other form is as it was, and the switches lead to a page that is there.
            "name=\"starts0\"",
            "name=\"next\" value=\"/settings\"",
        ],
    );
    assert_eq!(site.farm.read(settings::load).await.unwrap(), before);
    let form =
        "name=Farm&language=en&target=%E0%A7%A9%E0%A7%A6%E0%A7%A6&drop=40&timezone=Asia%2FDhaka";
    let saved = site.post("/settings", manager, form).await;
    assert_eq!(saved.location, "/settings?done=saved");
    let after = site.farm.read(settings::load).await.unwrap();
    assert_eq!(
        (
            after.name.as_str(),
            after.target_ml,
            after.yield_drop_percent
        ),
        ("Farm", Some(300_000), 40)
    );
    assert_eq!(after.raw_days, before.raw_days, "not on this page");
}

#[tokio::test]
async fn sessions_that_meet_are_said_in_their_row() {
    let (site, seeded) = Site::full().await;
    let manager = As::Session(&seeded.manager);
    let post = async |form: &str| site.post("/settings/sessions", manager, form).await;
    let before = site.farm.read(plan::load).await.unwrap().sessions.len();
    check(
        &post("name0=Dawn&starts0=04%3A00&ends0=&name1=Dusk&starts1=late&ends1=19%3A00").await,
        &[
            "f-ends0-error",
            "f-starts1-error",
            "value=\"Dusk\"",
            "value=\"04:00\"",
        ],
    );
    // A row without a name is no session, so the third row is the second session.
    check(
        &post("name0=Dawn&starts0=04%3A00&ends0=09%3A00&name1=&name2=Noon&starts2=08%3A00&ends2=12%3A00").await,
        &["f-starts2-error", "The session before has not ended by then."],
    );
    check(
        &post("name0=&starts0=&ends0=").await,
        &["f-name0-error", "A day has at least one session."],
    );
    let planned = site.farm.read(plan::load).await.unwrap().sessions;
    assert_eq!(planned.len(), before);
    let saved = post("name0=Dawn&starts0=04%3A00&ends0=09%3A00").await;
    assert_eq!(saved.location, "/settings?done=saved");
    let planned = site.farm.read(plan::load).await.unwrap().sessions;
    assert_eq!(planned.len(), 1);
}

#[tokio::test]
async fn staff_are_refused_beside_the_field_and_no_pin_is_written_back() {
    let (site, seeded) = Site::full().await;
    let owner = As::Session(&seeded.owner);
    let people = site.farm.read(staff::list).await.unwrap();
    let first = people.iter().find(|p| p.role == Role::Owner).unwrap();
    let refused = site
        .post("/staff", owner, "name=Karim+Mia&role=manager&pin=31x9")
        .await;
    check(
        &refused,
        &[
            "A PIN has 4 to 12 digits.",
            "value=\"Karim Mia\"",
            "value=\"manager\" selected",
        ],
    );
    assert!(!refused.text.contains("31x9"), "a secret stays a secret");
    let taken = format!("name={}&role=worker&pin=3190", first.name);
    check(
        &site.post("/staff", owner, &taken).await,
        &["Somebody has this name already."],
    );
    let page = format!("/staff/{}", first.id);
    check(
        &site.post(&page, owner, "name=Rahima&role=worker").await,
        &["the last owner", "f-role-error", "value=\"Rahima\""],
    );
    check(
        &site.post(&format!("{page}/deactivate"), owner, "").await,
        &["the last owner", "f-role-error"],
    );
    check(
        &site.post(&format!("{page}/pin"), owner, "pin=12").await,
        &["f-pin-error", &format!("value=\"{}\"", first.name)],
    );
    check(
        &site.post("/tokens", owner, "holder=&scope=all").await,
        &["f-holder-error", "f-scope-error"],
    );
    let after = site.farm.read(staff::list).await.unwrap();
    assert_eq!(after.len(), people.len());
    assert!(after.iter().any(|p| p.name == first.name && p.active));
}

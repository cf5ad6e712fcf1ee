//! One's own account: sessions, the password, and a link for who forgot it.

use axum::http::StatusCode;
use hub_accounts::{Actor, Email, reset};

use crate::world::{PASSWORD, World};

const NEW: &str = "bell-milk-cow-7";

#[tokio::test]
async fn the_password_is_changed_by_who_knows_it_and_ends_other_sessions() {
    let world = World::new();
    world.person("rahima").await;
    let (here, there) = (world.log_in("rahima").await, world.log_in("rahima").await);
    for (form, said) in [
        (
            format!("now=wrong&password={NEW}&again={NEW}"),
            "This is not your password.",
        ),
        (
            format!("now={PASSWORD}&password={NEW}&again=other-other"),
            "The two differ.",
        ),
        (
            format!("now={PASSWORD}&password=rahima12345&again=rahima12345"),
            "easily guessed",
        ),
    ] {
        let answer = world.post("/account/password", &here, &form).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(said), "{}", answer.text);
        assert!(
            !answer.text.contains(NEW),
            "what was typed is not written back"
        );
    }
    let form = format!("now={PASSWORD}&password={NEW}&again={NEW}");
    let done = world.post("/account/password", &here, &form).await;
    assert_eq!(done.location, "/account", "{}", done.text);
    assert_eq!(world.get("/", &here).await.status, StatusCode::OK);
    assert_eq!(world.get("/", &there).await.status, StatusCode::SEE_OTHER);
    let old = world.try_password("rahima", PASSWORD).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        world.try_password("rahima", NEW).await.status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn a_session_is_ended_by_its_owner_alone() {
    let world = World::new();
    world.person("rahima").await;
    world.person("karim").await;
    let (here, there) = (world.log_in("rahima").await, world.log_in("rahima").await);
    let karim = world.log_in("karim").await;
    let page = world.get("/account", &here).await;
    assert!(page.text.contains("this one"));
    let id = page.between("action=\"/account/sessions/", "/end\"");
    let path = format!("/account/sessions/{id}/end");
    assert_eq!(
        world.post(&path, &karim, "").await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(world.get("/", &there).await.status, StatusCode::OK);
    assert_eq!(world.post(&path, &here, "").await.location, "/account");
    assert_eq!(world.get("/", &there).await.status, StatusCode::SEE_OTHER);

    let another = world.log_in("rahima").await;
    world.post("/account/sessions/end-others", &here, "").await;
    assert_eq!(world.get("/", &another).await.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get("/", &here).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_link_gives_a_new_password_once_and_leaves_the_second_factor() {
    let world = World::new();
    world.person("rahima").await;
    let session = world.log_in("rahima").await;
    world.set_up(&session).await;
    let link = async || {
        let email = Email::new("rahima@example.com").unwrap();
        let made = world
            .store
            .write(move |tx| reset::make(tx, Actor::CommandLine, &email))
            .await;
        format!("/reset/{}", made.unwrap().as_str())
    };
    let (older, newer) = (link().await, link().await);
    assert_eq!(world.get(&older, "").await.status, StatusCode::NOT_FOUND);
    assert!(
        world
            .get(&newer, "")
            .await
            .text
            .contains("For rahima@example.com.")
    );
    let form = format!("password={NEW}&again={NEW}");
    let done = world.post(&newer, "", &form).await;
    assert_eq!(done.location, "/login?done=reset", "{}", done.text);
    let page = world.get(&done.location, "").await;
    assert!(
        page.text.contains("The password is changed."),
        "{}",
        page.text
    );
    assert_eq!(
        world.post(&newer, "", &form).await.status,
        StatusCode::NOT_FOUND
    );
    assert_eq!(world.get("/", &session).await.status, StatusCode::SEE_OTHER);
    let half = world.try_password("rahima", NEW).await;
    assert_eq!(half.location, "/login/code?next=/");

    let late = link().await;
    world.pass(3601);
    assert_eq!(world.get(&late, "").await.status, StatusCode::NOT_FOUND);
}

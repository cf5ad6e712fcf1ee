//! Members of a farm: invited, given roles, taken out.

use axum::http::StatusCode;
use hub_accounts::Role;

use crate::world::{PASSWORD, World};

/// Makes an invitation through the page; its path.
async fn invite(world: &World, owner: &str, email: &str, role: &str) -> String {
    let form = format!("email={email}&role={role}");
    let page = world
        .post("/manage/rahima-dairy/invitations", owner, &form)
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let link = page.between("<code id=\"invitation\" tabindex=\"0\">", "<");
    link.strip_prefix("https://hub.test").unwrap().to_owned()
}

#[tokio::test]
async fn whoever_is_invited_joins_with_a_new_account() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let link = invite(&world, &owner, "karim%40example.com", "worker").await;
    let page = world.get(&link, "").await;
    assert!(
        page.text
            .contains("rahima invites you to rahima Dairy as Worker."),
        "{}",
        page.text
    );
    let weak = world
        .post(&link, "", "name=Karim&password=short&again=short")
        .await;
    assert_eq!(weak.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(weak.text.contains("Too short: at least 10 characters."));
    let form = format!("name=Karim&password={PASSWORD}&again={PASSWORD}");
    let joined = world.post(&link, "", &form).await;
    assert_eq!(joined.location, "/login?done=joined", "{}", joined.text);
    let page = world.get(&joined.location, "").await;
    assert!(page.text.contains("Your account is made."), "{}", page.text);
    let karim = world.log_in("karim").await;
    assert!(world.get("/", &karim).await.text.contains("rahima Dairy"));
    assert_eq!(
        world.get("/manage/rahima-dairy", &karim).await.status,
        StatusCode::OK
    );
    let again = world.get(&link, "").await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    assert!(again.text.contains("This invitation ended"));
}

#[tokio::test]
async fn an_invitation_is_for_its_address_alone_and_ends() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    world.person("karim").await;
    world.person("salma").await;
    let link = invite(&world, &owner, "karim%40example.com", "vet").await;
    let stranger = world
        .post(
            &link,
            "",
            &format!("name=X&password={PASSWORD}&again={PASSWORD}"),
        )
        .await;
    assert!(
        stranger.text.contains("Log in to accept"),
        "{}",
        stranger.text
    );
    let salma = world.log_in("salma").await;
    let other = world.post(&link, &salma, "").await;
    assert!(
        other
            .text
            .contains("You are logged in with another address."),
        "{}",
        other.text
    );
    assert_eq!(
        world.get("/manage/rahima-dairy", &salma).await.status,
        StatusCode::NOT_FOUND
    );
    let karim = world.log_in("karim").await;
    assert_eq!(world.post(&link, &karim, "").await.location, "/");
    assert_eq!(
        world.get("/manage/rahima-dairy", &karim).await.status,
        StatusCode::OK
    );

    let twice = world
        .post(
            "/manage/rahima-dairy/invitations",
            &owner,
            "email=karim%40example.com&role=vet",
        )
        .await;
    assert!(
        twice.text.contains("They belong to the farm already."),
        "{}",
        twice.text
    );
    let late = invite(&world, &owner, "late%40example.com", "vet").await;
    world.pass(7 * 86_400);
    assert_eq!(world.get(&late, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_invitation_can_be_withdrawn_and_a_wrong_one_is_said() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    for (form, said) in [
        ("email=karim&role=vet", "Write an address"),
        ("email=karim%40example.com&role=king", "Choose a role."),
    ] {
        let answer = world
            .post("/manage/rahima-dairy/invitations", &owner, form)
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(answer.text.contains(said), "{}", answer.text);
    }
    let link = invite(&world, &owner, "karim%40example.com", "vet").await;
    let page = world.get("/manage/rahima-dairy/members", &owner).await;
    let path = page.between("action=\"/manage/rahima-dairy/invitations/", "\"");
    let path = format!("/manage/rahima-dairy/invitations/{path}");
    assert_eq!(
        world.post(&path, &owner, "").await.status,
        StatusCode::SEE_OTHER
    );
    assert_eq!(world.get(&link, "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn roles_change_at_once_and_an_owner_remains() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let karim = world.member("karim", &farm, Role::Worker).await;
    let audit = "/manage/rahima-dairy/audit";
    assert_eq!(world.get(audit, &karim).await.status, StatusCode::FORBIDDEN);
    let page = world.get("/manage/rahima-dairy/members", &owner).await;
    let ids: Vec<String> = page
        .text
        .split("/manage/rahima-dairy/members/")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("/role")?.0.to_owned()))
        .collect();
    let (karims, owners) = (&ids[0], &ids[1]);
    let path = |id: &str, what: &str| format!("/manage/rahima-dairy/members/{id}/{what}");
    world
        .post(&path(karims, "role"), &owner, "role=manager")
        .await;
    let page = world.get(audit, &karim).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("karim: Manager"), "{}", page.text);

    for (what, form) in [("role", "role=manager"), ("remove", "")] {
        let answer = world.post(&path(owners, what), &owner, form).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        assert!(
            answer.text.contains("One owner must remain."),
            "{}",
            answer.text
        );
    }
    let removed = world.post(&path(karims, "remove"), &owner, "").await;
    assert_eq!(removed.status, StatusCode::SEE_OTHER);
    assert_eq!(world.get(audit, &karim).await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.post(&path(karims, "remove"), &owner, "").await.status,
        StatusCode::NOT_FOUND
    );
}

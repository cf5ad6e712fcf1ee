//! Farms, their machines, and the codes that connect and swap them.

use axum::http::StatusCode;
use hub_accounts::{FarmId, Secret, SiteId, audit, claims, claims::ClaimError};

use crate::world::{Answer, World};

fn code_of(answer: &Answer) -> Secret {
    Secret::typed(answer.between("<code id=\"claim-code\" tabindex=\"0\">", "<"))
}

async fn claim(
    world: &World,
    code: &Secret,
    key: [u8; 32],
) -> Result<(FarmId, SiteId), ClaimError> {
    let (code, site) = (code.clone(), SiteId::new());
    world
        .store
        .write(move |tx| Ok((claims::claim(tx, &code, site, &key)?, site)))
        .await
}

async fn owner_of(world: &World, key: [u8; 32]) -> Option<(FarmId, SiteId)> {
    world
        .store
        .read(move |tx| claims::owner_of(tx, &key))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_farm_is_made_and_its_machine_connected_once() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    assert_eq!(farm.slug, "rahima-dairy");
    let page = world.get("/manage/rahima-dairy", &owner).await;
    assert!(
        page.text.contains("No machine is connected"),
        "{}",
        page.text
    );

    let first = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let second = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let old = claim(&world, &first, [1; 32]).await;
    assert!(
        matches!(old, Err(ClaimError::NotValid)),
        "a newer code ends the older one"
    );
    let (whose, site) = claim(&world, &second, [1; 32]).await.unwrap();
    assert_eq!(whose, farm.id);
    let twice = claim(&world, &second, [2; 32]).await;
    assert!(matches!(twice, Err(ClaimError::NotValid)));
    assert_eq!(owner_of(&world, [1; 32]).await, Some((farm.id, site)));

    world
        .store
        .write(move |tx| claims::heard(tx, site))
        .await
        .unwrap();
    world.pass(2 * 3600);
    let session = world.log_in_whole("rahima").await;
    let list = world.get("/", &session).await;
    assert!(list.text.contains("2 hours ago"), "{}", list.text);
    assert!(list.text.contains("Not heard for long"));
}

#[tokio::test]
async fn a_code_ends_and_a_key_is_enrolled_once() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let (other, _) = world.owner("salma").await;
    let late = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let mine = code_of(&world.post("/manage/salma-dairy/claims", &other, "").await);
    claim(&world, &mine, [7; 32]).await.unwrap();
    let again = claim(&world, &late, [7; 32]).await;
    assert!(matches!(again, Err(ClaimError::KeyKnown)));
    world.pass(25 * 3600);
    let ended = claim(&world, &late, [8; 32]).await;
    assert!(matches!(ended, Err(ClaimError::NotValid)));
}

#[tokio::test]
async fn swapping_the_machine_refuses_the_old_one_when_the_new_one_comes() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let (_, old) = claim(&world, &code, [1; 32]).await.unwrap();
    let form = format!("replaces={old}");
    let swap = code_of(
        &world
            .post("/manage/rahima-dairy/claims", &owner, &form)
            .await,
    );
    assert!(
        owner_of(&world, [1; 32]).await.is_some(),
        "not before it is used"
    );
    let (_, new) = claim(&world, &swap, [2; 32]).await.unwrap();
    assert_eq!(owner_of(&world, [1; 32]).await, None);
    assert_eq!(owner_of(&world, [2; 32]).await, Some((farm.id, new)));

    let path = format!("/manage/rahima-dairy/sites/{new}/revoke");
    let cut = world.post(&path, &owner, "").await;
    assert_eq!(cut.status, StatusCode::SEE_OTHER);
    assert_eq!(owner_of(&world, [2; 32]).await, None);
    assert_eq!(
        world.post(&path, &owner, "").await.status,
        StatusCode::NOT_FOUND
    );

    let (id, entries) = (farm.id, 20);
    let entries = world
        .store
        .read(move |tx| audit::of_farm(tx, id, None, entries))
        .await
        .unwrap();
    let told: Vec<&str> = entries.iter().rev().map(|e| e.action.as_str()).collect();
    assert_eq!(
        told,
        [
            "farm.add",
            "claim.make",
            "claim.use",
            "claim.make",
            "claim.use",
            "site.revoke",
            "site.revoke"
        ]
    );
    assert!(entries[1].actor.starts_with("site:") && entries[0].actor.starts_with("account:"));
}

#[tokio::test]
async fn a_code_of_one_farm_replaces_no_machine_of_another() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let (other, _) = world.owner("salma").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let (_, site) = claim(&world, &code, [1; 32]).await.unwrap();
    let form = format!("replaces={site}");
    let swap = world
        .post("/manage/salma-dairy/claims", &other, &form)
        .await;
    assert_eq!(swap.status, StatusCode::NOT_FOUND);
    let cut = world
        .post(
            &format!("/manage/salma-dairy/sites/{site}/revoke"),
            &other,
            "",
        )
        .await;
    assert_eq!(cut.status, StatusCode::NOT_FOUND);
    assert!(owner_of(&world, [1; 32]).await.is_some());
}

#[tokio::test]
async fn a_code_can_be_withdrawn() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let id = farm.id;
    let open = world
        .store
        .read(move |tx| claims::open(tx, id))
        .await
        .unwrap();
    let path = format!("/manage/rahima-dairy/claims/{}/withdraw", open[0].id);
    assert_eq!(
        world.post(&path, &owner, "").await.location,
        "/manage/rahima-dairy"
    );
    assert!(matches!(
        claim(&world, &code, [1; 32]).await,
        Err(ClaimError::NotValid)
    ));
}

#[tokio::test]
async fn a_bad_name_is_said_and_nothing_is_made() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let answer = world.post("/new", &owner, "name=+").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("Write a name of at most 80 letters."));
    let bengali = world
        .post("/new", &owner, "name=%E0%A6%B8%E0%A6%AC%E0%A7%81%E0%A6%9C")
        .await;
    assert!(
        bengali.location.starts_with("/manage/farm-"),
        "{}",
        bengali.location
    );
}

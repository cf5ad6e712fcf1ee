//! Farms, their machines, and the codes that connect and swap them.

use axum::http::StatusCode;
use hub_accounts::{
    Secret, SiteId, audit,
    claims::{self, ClaimError, Newcomer},
    removal,
};

use crate::world::{Answer, World};

fn code_of(answer: &Answer) -> Secret {
    Secret::typed(answer.between("<code id=\"claim-code\" tabindex=\"0\">", "<"))
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
    let old = world.claim(&first, [1; 32]).await;
    assert!(
        matches!(old, Err(ClaimError::NotValid)),
        "a newer code ends the older one"
    );
    let (whose, site) = world.claim(&second, [1; 32]).await.unwrap();
    assert_eq!(whose, farm.id);
    let twice = world.claim(&second, [2; 32]).await;
    assert!(matches!(twice, Err(ClaimError::NotValid)));
    assert_eq!(world.holder([1; 32]).await, Some((farm.id, site)));

    world
        .store
        .write(move |tx| claims::heard(tx, site, 3))
        .await
        .unwrap();
    world.pass(2 * 3600);
    let session = world.log_in_whole("rahima").await;
    let list = world.get("/", &session).await;
    assert!(list.text.contains("2 hours ago"), "{}", list.text);
    assert!(list.text.contains("Not heard for long"));
    assert!(list.text.contains("3 changes had not arrived yet"));
}

/// What waits at a machine is what it says itself.
#[tokio::test]
async fn machines_that_lie_about_what_waits_leave_the_list_of_farms_as_it_is() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    for key in [[1; 32], [2; 32]] {
        let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
        let (_, site) = world.claim(&code, key).await.unwrap();
        world
            .store
            .write(move |tx| claims::heard(tx, site, i64::MAX))
            .await
            .unwrap();
    }
    let list = world.get("/", &owner).await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text);
    assert!(list.text.contains("changes had not arrived yet"));
}

#[tokio::test]
async fn a_code_ends_and_a_key_is_enrolled_once() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let (other, _) = world.owner("salma").await;
    let late = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let mine = code_of(&world.post("/manage/salma-dairy/claims", &other, "").await);
    world.claim(&mine, [7; 32]).await.unwrap();
    let again = world.claim(&late, [7; 32]).await;
    assert!(matches!(again, Err(ClaimError::KeyKnown)));
    world.pass(25 * 3600);
    let ended = world.claim(&late, [8; 32]).await;
    assert!(matches!(ended, Err(ClaimError::NotValid)));
}

#[tokio::test]
async fn swapping_the_machine_refuses_the_old_one_when_the_new_one_comes() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let (_, old) = world.claim(&code, [1; 32]).await.unwrap();
    let form = format!("replaces={old}");
    let swap = code_of(
        &world
            .post("/manage/rahima-dairy/claims", &owner, &form)
            .await,
    );
    assert!(
        world.holder([1; 32]).await.is_some(),
        "not before it is used"
    );
    let (_, new) = world.claim(&swap, [2; 32]).await.unwrap();
    assert_eq!(world.holder([1; 32]).await, None);
    assert_eq!(world.holder([2; 32]).await, Some((farm.id, new)));

    let path = format!("/manage/rahima-dairy/sites/{new}/revoke");
    let cut = world.post(&path, &owner, "").await;
    assert_eq!(cut.status, StatusCode::SEE_OTHER);
    assert_eq!(world.holder([2; 32]).await, None);
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
    let (_, site) = world.claim(&code, [1; 32]).await.unwrap();
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
    assert!(world.holder([1; 32]).await.is_some());
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
        world.claim(&code, [1; 32]).await,
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

#[tokio::test]
async fn a_lost_answer_to_a_claim_is_given_again_and_a_machine_may_come_back() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let (other, _) = world.owner("salma").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let pi = Newcomer {
        site: SiteId::new(),
        key: [1; 32],
        name: "pi".into(),
    };
    let claim = async |code: &Secret, who: &Newcomer| {
        let (code, who) = (code.clone(), who.clone());
        world
            .store
            .write(move |tx| claims::claim(tx, &code, &who))
            .await
    };
    assert_eq!(claim(&code, &pi).await.unwrap(), farm.id);
    assert_eq!(claim(&code, &pi).await.unwrap(), farm.id, "the same again");
    let thief = Newcomer {
        key: [2; 32],
        ..pi.clone()
    };
    assert!(matches!(
        claim(&code, &thief).await,
        Err(ClaimError::NotValid)
    ));
    // The same machine, with a new key and a new code: the old key ends.
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    claim(&code, &thief).await.unwrap();
    assert_eq!(world.holder([1; 32]).await, None);
    assert_eq!(world.holder([2; 32]).await, Some((farm.id, pi.site)));
    // It cannot join another farm under the same identity.
    let code = code_of(&world.post("/manage/salma-dairy/claims", &other, "").await);
    let stray = Newcomer { key: [3; 32], ..pi };
    assert!(matches!(
        claim(&code, &stray).await,
        Err(ClaimError::NotValid)
    ));
    assert_eq!(world.holder([2; 32]).await, Some((farm.id, stray.site)));
}

#[tokio::test]
async fn a_key_ends_when_the_one_that_follows_it_is_used() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    let (_, site) = world.claim(&code, [1; 32]).await.unwrap();
    let rotate = async |old: [u8; 32], next: [u8; 32]| {
        world
            .store
            .write(move |tx| claims::rotate(tx, &old, &next))
            .await
    };
    for _ in 0..2 {
        rotate([1; 32], [2; 32]).await.unwrap();
    }
    for key in [[1; 32], [2; 32]] {
        assert_eq!(world.holder(key).await, Some((farm.id, site)));
    }
    // Another one that is to follow takes the place of the first.
    rotate([1; 32], [3; 32]).await.unwrap();
    assert_eq!(world.holder([2; 32]).await, None);
    let next = world
        .store
        .read(|tx| claims::holder(tx, &[3; 32]))
        .await
        .unwrap();
    assert!(next.unwrap().ends_another);
    world
        .store
        .write(|tx| claims::arrive(tx, &[3; 32]))
        .await
        .unwrap();
    assert_eq!(world.holder([1; 32]).await, None);
    assert_eq!(world.holder([3; 32]).await, Some((farm.id, site)));
    assert!(matches!(
        rotate([1; 32], [4; 32]).await,
        Err(ClaimError::NotValid)
    ));
    assert!(matches!(
        rotate([3; 32], [1; 32]).await,
        Err(ClaimError::KeyKnown)
    ));
}

#[tokio::test]
async fn a_farm_goes_after_its_time_unless_it_is_kept() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let code = code_of(&world.post("/manage/rahima-dairy/claims", &owner, "").await);
    world.claim(&code, [1; 32]).await.unwrap();
    let right = "name=rahima+Dairy&password=cow-milk-bell-9";
    for wrong in [
        "",
        "name=Rahima&password=cow-milk-bell-9",
        "name=rahima+Dairy&password=wrong",
    ] {
        let answer = world
            .post("/manage/rahima-dairy/delete", &owner, wrong)
            .await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let due = async || world.store.read(removal::due).await.unwrap();
    let asked = world
        .post("/manage/rahima-dairy/delete", &owner, right)
        .await;
    assert_eq!(asked.location, "/manage/rahima-dairy", "{}", asked.text);
    let page = world.get("/manage/rahima-dairy", &owner).await;
    assert!(
        page.text.contains("will be deleted at the hub on"),
        "{}",
        page.text
    );
    let kept = world.post("/manage/rahima-dairy/keep", &owner, "").await;
    assert_eq!(kept.status, StatusCode::SEE_OTHER);
    world.pass(removal::GRACE_S + 1);
    assert!(due().await.is_empty());

    let owner = world.log_in_whole("rahima").await;
    let asked = world
        .post("/manage/rahima-dairy/delete", &owner, right)
        .await;
    assert_eq!(asked.status, StatusCode::SEE_OTHER, "{}", asked.text);
    world.pass(removal::GRACE_S - 1);
    assert!(due().await.is_empty());
    world.pass(1);
    assert_eq!(due().await, [farm.id]);
    let id = farm.id;
    let file = world.folder.path().join(format!("farms/{id}.db"));
    let owner = world.log_in_whole("rahima").await;
    let shown = world.get("/farms/rahima-dairy/", &owner).await;
    assert_eq!(shown.status, StatusCode::OK, "{}", shown.text);
    assert!(file.exists());
    cloud_hub::tidy(&world.store, &world.farms).await;
    assert!(!file.exists());
    assert!(
        world
            .store
            .read(move |tx| removal::is_gone(tx, id))
            .await
            .unwrap()
    );
    let owner = world.log_in_whole("rahima").await;
    assert_eq!(
        world.get("/manage/rahima-dairy", &owner).await.status,
        StatusCode::NOT_FOUND
    );
    assert!(world.get("/", &owner).await.text.contains("No farm yet"));
    assert!(
        world.holder([1; 32]).await.is_some(),
        "so that the machine is told"
    );
    world
        .store
        .read(|tx| audit::verify(tx, None))
        .await
        .unwrap();
}

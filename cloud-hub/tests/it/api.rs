//! The hub's JSON API: its document, its answers, and what it says of what cannot be.

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use cloud_hub::route_table;
use http_body_util::BodyExt as _;
use hub_accounts::Role;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::{COOKIE, World};

impl World {
    /// What the API answers; `null` for an empty answer.
    pub(crate) async fn api(
        &self,
        method: Method,
        path: &str,
        session: &str,
        body: &str,
    ) -> (StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::COOKIE, format!("{COOKIE}={session}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        if bytes.is_empty() {
            return (status, Value::Null);
        }
        let answer = serde_json::from_slice(&bytes);
        (
            status,
            answer.unwrap_or_else(|_| panic!("{path}: {}", String::from_utf8_lossy(&bytes))),
        )
    }

    async fn asks(&self, path: &str, session: &str) -> Value {
        let (status, answer) = self.api(Method::GET, path, session, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn tells(&self, path: &str, session: &str, body: Value) -> (StatusCode, Value) {
        self.api(Method::POST, path, session, &body.to_string())
            .await
    }
}

#[tokio::test]
async fn every_route_is_in_the_document_and_nothing_else() {
    let world = World::new();
    let document = world.asks("/api/v1/openapi.json", "").await;
    let mut told: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            told.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let mut served: Vec<String> = route_table()
        .iter()
        .filter(|entry| entry.path.starts_with("/api/") && !entry.path.ends_with("openapi.json"))
        .map(|entry| format!("{} {}", entry.method, entry.path))
        .collect();
    told.sort();
    served.sort();
    assert_eq!(told, served);
    assert_eq!(
        document["openapi"].as_str().unwrap().split('.').next(),
        Some("3")
    );
}

#[tokio::test]
async fn a_farm_is_added_connected_and_shared_by_a_program() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let (status, farm) = world
        .tells("/api/v1/farms", &owner, json!({ "name": "Green Field" }))
        .await;
    assert_eq!(status, StatusCode::CREATED, "{farm}");
    assert_eq!(
        (
            &farm["slug"],
            &farm["role"],
            &farm["standing"],
            &farm["heard"]
        ),
        (
            &json!("green-field"),
            &json!("owner"),
            &json!("not_connected"),
            &Value::Null
        )
    );
    let base = "/api/v1/farms/green-field";
    assert_eq!(world.asks(base, &owner).await, farm);
    let mine = world.asks("/api/v1/farms", &owner).await;
    assert_eq!(mine["items"].as_array().unwrap().len(), 2);
    assert_eq!(mine["items"][0], farm);

    let claims = format!("{base}/claims");
    let (status, made) = world.tells(&claims, &owner, json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let waiting = world.asks(&claims, &owner).await;
    assert_eq!(waiting["items"][0]["replaces"], Value::Null);
    let code = hub_accounts::Secret::typed(made["code"].as_str().unwrap());
    let (_, site) = world.claim(&code, [1; 32]).await.unwrap();
    let machines = world.asks(&format!("{base}/machines"), &owner).await;
    assert_eq!(machines["items"][0]["id"], json!(site.to_string()));
    let revoke = format!("{base}/machines/{site}/revoke");
    let (status, _) = world.tells(&revoke, &owner, json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(world.holder([1; 32]).await, None);
    let (status, again) = world.tells(&revoke, &owner, json!({})).await;
    assert_eq!(
        (status, &again["reason"]),
        (StatusCode::NOT_FOUND, &json!("not-found"))
    );

    let invitations = format!("{base}/invitations");
    let karim = json!({ "email": "karim@example.com", "role": "vet" });
    let (status, invited) = world.tells(&invitations, &owner, karim).await;
    assert_eq!(status, StatusCode::CREATED);
    let link = invited["link"].as_str().unwrap();
    assert!(link.starts_with("https://hub.test/invitations/"), "{link}");
    let waiting = world.asks(&invitations, &owner).await;
    let id = waiting["items"][0]["id"].as_str().unwrap();
    let withdraw = format!("{invitations}/{id}/withdraw");
    assert_eq!(
        world.tells(&withdraw, &owner, json!({})).await.0,
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn members_change_and_one_owner_remains() {
    let world = World::new();
    let (owner, farm) = world.owner("rahima").await;
    let worker = world.member("karim", &farm, Role::Worker).await;
    let base = "/api/v1/farms/rahima-dairy/members";
    let people = world.asks(base, &owner).await;
    let of = |name: &str| {
        let items = people["items"].as_array().unwrap();
        let found = items.iter().find(|item| item["name"] == name).unwrap();
        found["account"].as_str().unwrap().to_owned()
    };
    let (karim, rahima) = (of("karim"), of("rahima"));
    let role = format!("{base}/{karim}/role");
    let done = world
        .tells(&role, &owner, json!({ "role": "manager" }))
        .await;
    assert_eq!(done.0, StatusCode::NO_CONTENT);
    assert_eq!(
        world.asks(base, &worker).await["items"][0]["role"],
        "manager"
    );
    for path in [
        format!("{base}/{rahima}/role"),
        format!("{base}/{rahima}/remove"),
    ] {
        let (status, said) = world.tells(&path, &owner, json!({ "role": "vet" })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{said}");
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("one owner must remain")
        );
    }
    let removed = world
        .tells(&format!("{base}/{karim}/remove"), &owner, json!({}))
        .await;
    assert_eq!(removed.0, StatusCode::NO_CONTENT);
    let (status, _) = world.api(Method::GET, base, &worker, "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn history_comes_in_pages_that_newer_entries_do_not_shift() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let claims = "/api/v1/farms/rahima-dairy/claims";
    for _ in 0..5 {
        world.tells(claims, &owner, json!({})).await;
    }
    let audit = "/api/v1/farms/rahima-dairy/audit?limit=2";
    let mut numbers = Vec::new();
    let mut page = world.asks(audit, &owner).await;
    loop {
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        numbers.extend(items.iter().map(|item| item["number"].as_i64().unwrap()));
        world.tells(claims, &owner, json!({})).await;
        let Some(next) = page["next"].as_str() else {
            break;
        };
        page = world.asks(&format!("{audit}&cursor={next}"), &owner).await;
    }
    assert_eq!(
        numbers.len(),
        6,
        "five codes and the farm itself: {numbers:?}"
    );
    assert!(numbers.is_sorted_by(|a, b| a > b));
}

#[tokio::test]
async fn what_cannot_be_is_said_as_a_problem() {
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    let farm = "/api/v1/farms/rahima-dairy";
    for (method, path, body, status, reason, detail) in [
        (
            Method::POST,
            "/api/v1/farms",
            "{}",
            422,
            "invalid",
            "missing field `name`",
        ),
        (
            Method::POST,
            "/api/v1/farms",
            r#"{"name": "A", "colour": 1}"#,
            422,
            "invalid",
            "colour",
        ),
        (
            Method::POST,
            "/api/v1/farms",
            r#"{"name": " "}"#,
            422,
            "invalid",
            "name: write a name",
        ),
        (
            Method::POST,
            "/api/v1/farms",
            "not json",
            422,
            "invalid",
            "JSON",
        ),
        (
            Method::POST,
            "invitations",
            r#"{"email": "x", "role": "vet"}"#,
            422,
            "invalid",
            "email",
        ),
        (
            Method::POST,
            "invitations",
            r#"{"email": "x@example.com", "role": "king"}"#,
            422,
            "invalid",
            "“king” is none of read_only, worker",
        ),
        (Method::GET, "audit?limit=0", "", 422, "invalid", "1 to 500"),
        (Method::GET, "audit?cursor=x", "", 422, "invalid", "cursor"),
        (Method::GET, "nothing", "", 404, "not-found", ""),
        (Method::POST, "audit", "{}", 405, "method-not-allowed", ""),
        (Method::POST, "members/x/remove", "{}", 400, "malformed", ""),
    ] {
        let path = if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("{farm}/{path}")
        };
        let (answered, said) = world.api(method, &path, &owner, body).await;
        assert_eq!(answered.as_u16(), status, "{path} {body}: {said}");
        assert_eq!(said["reason"], reason, "{path} {body}: {said}");
        assert_eq!(said["status"], status);
        assert_eq!(said["type"], "about:blank");
        assert!(
            said["detail"].as_str().unwrap().contains(detail),
            "{detail}: {said}"
        );
    }
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(70_000));
    let (status, said) = world
        .api(Method::POST, "/api/v1/farms", &owner, &large)
        .await;
    assert_eq!(
        (status, &said["reason"]),
        (StatusCode::PAYLOAD_TOO_LARGE, &json!("too-large"))
    );
    // A farm's own API answers in the same form, the hub's refusals too.
    for (path, session) in [
        ("/farms/rahima-dairy/api/v1/animals", ""),
        ("/farms/no-such/api/v1/animals", owner.as_str()),
        ("/farms/rahima-dairy/api/v1/nothing", &owner),
    ] {
        let (status, said) = world.api(Method::GET, path, session, "").await;
        assert!(status.is_client_error());
        assert_eq!(said["status"], status.as_u16(), "{path}: {said}");
    }
    let herd = world
        .asks("/farms/rahima-dairy/api/v1/animals", &owner)
        .await;
    assert_eq!(herd, json!({ "items": [] }));
    let document = world
        .asks("/farms/rahima-dairy/api/v1/openapi.json", &owner)
        .await;
    assert_eq!(document["servers"][0]["url"], "/farms/rahima-dairy");
}

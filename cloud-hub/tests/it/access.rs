//! Every route with each wrong identity: nobody, a session that ended, one whose second factor is missing, a member of another
//! farm, a lesser role.

use axum::http::{Method, StatusCode};
use cloud_hub::{Needs, route_table};
use hub_accounts::Role;

use crate::world::{Answer, PASSWORD, World};

/// Routes that anybody may use; every other must refuse strangers. A new open route has to be written here.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/assets/{name}"),
    ("POST", "/preferences"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/api/v1/openapi.json"),
    // What it is about stands behind the `#`, which nobody sends.
    ("GET", "/connect"),
    ("GET", "/login"),
    ("POST", "/login"),
    // Whoever holds the link.
    ("GET", "/invitations/{invitation}"),
    ("POST", "/invitations/{invitation}"),
    ("GET", "/reset/{reset}"),
    ("POST", "/reset/{reset}"),
];

fn path_of(pattern: &str, slug: &str) -> String {
    let id = "01a1fb00-381a-756c-9228-60dba6b890e2";
    let mut path = pattern.replace("{slug}", slug);
    for name in [
        "{claim}",
        "{site}",
        "{session}",
        "{account}",
        "{invitation}",
        "{import}",
    ] {
        path = path.replace(name, id);
    }
    path.replace("{*rest}", "herd")
}

fn is_refused(answer: &Answer) -> bool {
    match answer.status {
        StatusCode::SEE_OTHER => {
            let to = answer.location.as_str();
            to.starts_with("/login") || to == "/account/second-factor"
        }
        status => [
            StatusCode::UNAUTHORIZED,
            StatusCode::FORBIDDEN,
            StatusCode::NOT_FOUND,
        ]
        .contains(&status),
    }
}

#[tokio::test]
async fn the_table_says_who_may() {
    for entry in route_table() {
        let open = OPEN.contains(&(entry.method.as_str(), entry.path));
        assert_eq!(entry.needs == Needs::Nothing, open, "{entry:?}");
        let of_a_farm = entry.path.contains("{slug}");
        let member = matches!(entry.needs, Needs::Member(_));
        assert_eq!(member, of_a_farm, "{entry:?}");
        let sync = entry.path.starts_with("/sync/");
        assert_eq!(entry.needs == Needs::Key, sync, "{entry:?}");
        let of_the_hub = ["/manage", "/api"]
            .iter()
            .any(|p| entry.path.starts_with(p));
        if of_a_farm && of_the_hub && entry.method != Method::GET {
            assert_eq!(entry.needs, Needs::Member(Role::Owner), "{entry:?}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_each_wrong_identity() {
    let world = World::new();
    let (expired, farm) = world.owner("rahima").await;
    world.owner("salma").await;
    world.pass(30 * 60 + 1);
    let owner = world.log_in_whole("rahima").await;
    let other_owner = world.log_in_whole("salma").await;
    let ended = world.log_in_whole("rahima").await;
    let left = world.post("/logout", &ended, "").await;
    assert_eq!(left.status, StatusCode::SEE_OTHER);
    let pending = world.try_password("rahima", PASSWORD).await.session;
    world.person("karim").await;
    let nobodys = world.log_in("karim").await;
    let roles = [Role::ReadOnly, Role::Worker, Role::Vet, Role::Manager];
    let mut members = Vec::new();
    for role in roles {
        members.push((role, world.member(role.key(), &farm, role).await));
    }
    for entry in route_table() {
        if entry.needs == Needs::Nothing {
            continue;
        }
        let path = path_of(entry.path, &farm.slug);
        let mut wrong = vec![
            ("nobody", ""),
            ("ended", ended.as_str()),
            ("expired", &expired),
            ("unknown", "ffff"),
        ];
        match entry.needs {
            Needs::Pending => wrong.push(("whole", &owner)),
            Needs::Session => {}
            _ => wrong.push(("second factor missing", &pending)),
        }
        match entry.needs {
            Needs::TwoFactors => wrong.push(("one factor", &nobodys)),
            Needs::Local | Needs::Key => wrong.push(("owner from afar", &owner)),
            Needs::Member(role) => {
                wrong.push(("member of another farm", &other_owner));
                wrong.push(("member of none", &nobodys));
                let lesser = members.iter().filter(|(r, _)| *r < role);
                wrong.extend(lesser.map(|(r, session)| (r.key(), session.as_str())));
            }
            _ => {}
        }
        for (who, session) in wrong {
            let answer = world.ask(entry.method.clone(), &path, session, "").await;
            let refused = match entry.needs {
                // A body without a seal is none that replication reads.
                Needs::Key => answer.status == StatusCode::BAD_REQUEST,
                _ => is_refused(&answer),
            };
            assert!(refused, "{entry:?} as {who}: {answer:?}");
            // A program is not sent to a page.
            if entry.path.starts_with("/api/") {
                assert!(
                    answer.text.contains("\"reason\""),
                    "{entry:?} as {who}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_route_lets_the_right_one_in() {
    let world = World::new();
    let (_, farm) = world.owner("rahima").await;
    for entry in route_table() {
        let session = match entry.needs {
            Needs::Nothing | Needs::Local | Needs::Key => continue,
            Needs::Pending => world.try_password("rahima", PASSWORD).await.session,
            _ => world.log_in_whole("rahima").await,
        };
        let path = path_of(entry.path, &farm.slug);
        let answer = world.ask(entry.method.clone(), &path, &session, "").await;
        let through = match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => false,
            StatusCode::SEE_OTHER => {
                entry.path == "/logout" || !answer.location.starts_with("/login")
            }
            _ => true,
        };
        // An empty code is wrong, and says so with 401.
        let code = entry.path == "/login/code" && answer.text.contains("code is wrong");
        assert!(through || code, "{entry:?}: {answer:?}");
        world.pass(300);
    }
}

#[tokio::test]
async fn an_owner_without_a_second_factor_gets_no_further_than_setting_it_up() {
    let world = World::new();
    let (_, farm) = world.owner("rahima").await;
    let bare = world.member("karim", &farm, Role::Owner).await;
    for path in ["/", "/new", &format!("/manage/{}", farm.slug)] {
        let answer = world.get(path, &bare).await;
        assert_eq!(answer.location, "/account/second-factor", "{path}");
    }
    world.set_up(&bare).await;
    assert_eq!(world.get("/", &bare).await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_sites_cannot_post() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;
    let world = World::new();
    let (owner, _) = world.owner("rahima").await;
    for (name, value) in [
        ("origin", "https://evil.test"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let request = Request::post("/logout")
            .header("host", "hub.test")
            .header("cookie", format!("{}={owner}", crate::world::COOKIE))
            .header(name, value)
            .body(Body::empty())
            .unwrap();
        let answer = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    assert_eq!(world.get("/", &owner).await.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_keep_pages_to_themselves() {
    use axum::{body::Body, http::Request};
    use tower::ServiceExt as _;
    let world = World::new();
    let request = Request::get("/login").body(Body::empty()).unwrap();
    let answer = world.router.clone().oneshot(request).await.unwrap();
    let header = |name: &str| answer.headers()[name].to_str().unwrap();
    assert!(header("content-security-policy").starts_with("default-src 'self'"));
    assert_eq!(
        header("strict-transport-security"),
        "max-age=31536000; includeSubDomains"
    );
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("cache-control"), "no-store");
    let unknown = world.get("/nowhere", "").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.text.contains("There is no such page"));
}

#[tokio::test]
async fn whoever_watches_is_told_what_is_wrong() {
    let world = World::new();
    let ready = world.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::OK, "{}", ready.text);
    assert!(ready.text.contains("\"wrong\":[]"), "{}", ready.text);
    assert!(ready.text.contains("disk_free_mb"), "{}", ready.text);

    let world = World::new();
    let other = rusqlite::Connection::open(world.folder.path().join("hub.db")).unwrap();
    other.execute_batch("DROP TABLE schema_version").unwrap();
    let ready = world.get("/readyz", "").await;
    assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(ready.text.contains("cannot be written"), "{}", ready.text);
    assert!(ready.text.contains("cloud-hub doctor"), "{}", ready.text);
    assert_eq!(world.get("/healthz", "").await.status, StatusCode::OK);
}

//! Every route with nobody, with the role below the one it needs, and with the right one.

use std::collections::{BTreeSet, VecDeque};

use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use farm_model::staff::Role;
use farm_web::{Needs, route_table};
use http_body_util::BodyExt as _;

use crate::{
    client::{As, Site},
    seed::Seeded,
};

/// Routes that anybody may use; every other must refuse strangers. A new open route has to be written here.
const OPEN: &[(&str, &str)] = &[
    ("GET", "/assets/{name}"),
    ("POST", "/preferences"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/setup"),
    ("POST", "/setup"),
    ("GET", "/api/v1/openapi.json"),
    // In debug builds, which tests are.
    ("GET", "/styleguide"),
];

/// Prefixes of what only a manager may see or do, and only an owner.
const MANAGERS: &[&str] = &["/inbox", "/devices", "/settings", "/herd/new"];
const OWNERS: &[&str] = &["/staff", "/tokens", "/hub"];

/// An address that fits a route.
pub(crate) fn path_of(pattern: &str, seeded: &Seeded) -> String {
    let cow = seeded.cow.to_string();
    let visit = seeded.unidentified.to_string();
    let (probe, index) = (seeded.probe.to_string(), "0".to_owned());
    let path = pattern
        .replace("{stall}", "1")
        .replace("{animal}", &cow)
        .replace("{visit}", &visit)
        .replace("{device}", &probe)
        .replace("{quantity}", "temperature")
        .replace("{kind}", "heat")
        .replace("{request}", "1")
        .replace("{image}", "1")
        .replace("{rollout}", "1")
        .replace("{index}", &index);
    let id = match pattern {
        p if p.starts_with("/herd") => cow,
        p if p.starts_with("/milkings") => visit,
        p if p.starts_with("/devices") => probe,
        _ => "01a1fb00-381a-756c-9228-60dba6b890e2".to_owned(),
    };
    path.replace("{id}", &id).replace("{name}", "none.css")
}

#[tokio::test]
async fn the_table_says_who_may() {
    for entry in route_table() {
        let open = OPEN.contains(&(entry.method.as_str(), entry.path));
        assert_eq!(entry.needs == Needs::Nothing, open, "{entry:?}");
        let begins = |list: &[&str]| list.iter().any(|p| entry.path.starts_with(p));
        if begins(OWNERS) {
            assert_eq!(entry.needs, Needs::Role(Role::Owner), "{entry:?}");
        } else if begins(MANAGERS) {
            assert_eq!(entry.needs, Needs::Role(Role::Manager), "{entry:?}");
        }
        if entry.path.starts_with("/api/") && !open {
            let reads = entry.method == Method::GET;
            assert_eq!(entry.needs == Needs::Read, reads, "{entry:?}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_strangers_and_lesser_roles() {
    let (site, seeded) = Site::full().await;
    for entry in route_table() {
        if entry.needs == Needs::Nothing {
            continue;
        }
        let path = path_of(entry.path, &seeded);
        let ask = async |who| site.ask(entry.method.clone(), &path, who, "", "").await;
        let stranger = ask(As::Nobody).await;
        if entry.path.starts_with("/api/") {
            assert_eq!(stranger.status, StatusCode::UNAUTHORIZED, "{entry:?}");
            assert_eq!(stranger.json()["reason"], "not-logged-in");
        } else {
            assert_eq!(stranger.status, StatusCode::SEE_OTHER, "{entry:?}");
            assert!(stranger.location.starts_with("/login"), "{entry:?}");
        }
        let (lesser, right) = match entry.needs {
            Needs::Role(Role::Owner) => (
                Some(As::Session(&seeded.manager)),
                As::Session(&seeded.owner),
            ),
            Needs::Role(Role::Manager) => (
                Some(As::Session(&seeded.worker)),
                As::Session(&seeded.manager),
            ),
            Needs::Role(Role::Worker) => {
                (Some(As::Token(&seeded.manage)), As::Session(&seeded.worker))
            }
            Needs::Observe | Needs::Manage | Needs::Record => {
                (Some(As::Token(&seeded.read)), As::Token(&seeded.manage))
            }
            Needs::Figures => (Some(As::Session(&seeded.worker)), As::Token(&seeded.read)),
            Needs::Read | Needs::Nothing => (None, As::Token(&seeded.read)),
        };
        if let Some(lesser) = lesser {
            assert_eq!(ask(lesser).await.status, StatusCode::FORBIDDEN, "{entry:?}");
        }
        // The right one gets past the guard; an empty form may still be refused for what it lacks. Logging out ends the
        // session that the other routes are asked with.
        if entry.path == "/logout" {
            continue;
        }
        let status = ask(right).await.status;
        let let_in = status != StatusCode::UNAUTHORIZED && status != StatusCode::FORBIDDEN;
        assert!(
            let_in && status != StatusCode::INTERNAL_SERVER_ERROR,
            "{entry:?} {status}"
        );
        if entry.method == Method::GET && entry.path != "/metrics" && !entry.path.contains("{id}") {
            // One wants to know of what, the others are of an authority that is not here.
            let lacks = [
                "/api/v1/readings",
                "/api/v1/authority",
                "/devices/farm-ca.pem",
                "/live",
                "/live/poll",
                "/live/ws",
            ]
            .contains(&entry.path);
            let good = status.is_success() || lacks;
            assert!(good, "{entry:?} {status}");
        }
    }
}

#[tokio::test]
async fn another_site_cannot_post() {
    let (site, seeded) = Site::full().await;
    let request = axum::http::Request::post("/logout")
        .header("cookie", format!("session={}", seeded.worker))
        .header("origin", "http://evil.test")
        .header("host", "10.0.0.5")
        .body(axum::body::Body::empty())
        .unwrap();
    assert_eq!(site.raw(request).await.status(), StatusCode::FORBIDDEN);
    let still = site.get("/", As::Session(&seeded.worker)).await;
    assert_eq!(still.status, StatusCode::OK);
}

#[tokio::test]
async fn answers_carry_the_security_headers() {
    let site = Site::empty();
    for path in ["/login", "/nothing", "/healthz", "/api/v1/animals"] {
        let request = axum::http::Request::get(path)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = site.raw(request).await;
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(
            policy.contains("default-src 'self'") && !policy.contains("unsafe"),
            "{path}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(
            response.headers()["x-content-type-options"],
            "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_log_in_in_the_middle_of_a_form_leads_back_to_it() {
    let (site, _) = Site::full().await;
    for (referer, next) in [
        ("http://10.0.0.5:8080/record/7?q=1", "/record/7%3Fq%3D1"),
        ("http://evil.test/record/7", "/"),
        ("http://10.0.0.5:8080//evil.test/", "/"),
        ("/record/7", "/"),
    ] {
        let request = Request::post("/settings")
            .header(header::HOST, "10.0.0.5:8080")
            .header(header::REFERER, referer)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from("name=x"))
            .unwrap();
        let answer = site.raw(request).await;
        assert_eq!(
            answer.headers()[header::LOCATION].to_str().unwrap(),
            format!("/login?next={next}"),
            "{referer}"
        );
    }
}

#[tokio::test]
async fn what_a_worker_may_not_do_is_refused_in_words_with_a_way_on() {
    let (site, seeded) = Site::full().await;
    let above = |needs| matches!(needs, Needs::Role(role) if role > Role::Worker);
    for entry in route_table().into_iter().filter(|e| above(e.needs)) {
        let path = path_of(entry.path, &seeded);
        let worker = As::Session(&seeded.worker);
        let refused = site.ask(entry.method.clone(), &path, worker, "", "").await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{entry:?}");
        for said in ["You may not do this", "Ask a manager", "href=\"/\""] {
            assert!(refused.text.contains(said), "{entry:?}: {said}");
        }
        assert!(refused.text.contains("<nav"), "{entry:?}: the menu stays");
    }
    // In the worker's own language where none is chosen: the farm's.
    let request = Request::get("/staff")
        .header(header::COOKIE, format!("session={}", seeded.worker))
        .body(Body::empty())
        .unwrap();
    let answer = site.raw(request).await.into_body();
    let page = answer.collect().await.unwrap().to_bytes();
    assert!(String::from_utf8_lossy(&page).contains("মালিককে বলুন"));
}

/// What stands between `before` and the next quotation mark, wherever it stands in a page.
fn addresses(page: &str, before: &str) -> Vec<String> {
    page.split(before)
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|address| address.replace("&amp;", "&"))
        .collect()
}

/// What the route of a form's address needs.
fn needs_of(path: &str) -> Option<Needs> {
    let path: Vec<&str> = path.split(['?', '#']).next()?.split('/').collect();
    let fits = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        let same = |(a, b): (&&str, &&str)| a == b || a.starts_with('{');
        pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
    };
    let mut routes: Vec<_> = route_table()
        .into_iter()
        .filter(|e| e.method == Method::POST && fits(e.path))
        .collect();
    routes.sort_by_key(|e| e.path.matches('{').count());
    routes.first().map(|e| e.needs)
}

#[tokio::test]
async fn a_worker_is_offered_nothing_that_is_refused() {
    let (site, seeded) = Site::full().await;
    let mut known: BTreeSet<String> = ["/", "/health"].map(str::to_owned).into();
    let mut queue: VecDeque<(String, String)> = known
        .iter()
        .map(|path| (path.clone(), String::new()))
        .collect();
    let mut forms = BTreeSet::new();
    while let Some((path, from)) = queue.pop_front() {
        let page = site.get(&path, As::Session(&seeded.worker)).await;
        assert_ne!(page.status, StatusCode::FORBIDDEN, "{from} leads to {path}");
        assert_ne!(page.status, StatusCode::NOT_FOUND, "{from} leads to {path}");
        forms.extend(addresses(&page.text, "method=\"post\" action=\""));
        forms.extend(addresses(&page.text, "novalidate data-once action=\""));
        let links = addresses(&page.text, "href=\"/");
        let links = links.into_iter().map(|link| format!("/{link}"));
        let onward = (!page.location.is_empty()).then_some(page.location);
        for link in links.chain(onward) {
            let is_page = !["/assets/", "/live"].iter().any(|p| link.starts_with(p));
            // One page of a list, and one day of a calendar, are as good as all.
            if is_page && known.len() < 400 && known.insert(link.clone()) {
                queue.push_back((link, path.clone()));
            }
        }
    }
    assert!(forms.len() > 10, "{forms:?}");
    for form in &forms {
        let needs = needs_of(form).unwrap_or_else(|| panic!("no route takes {form}"));
        let may = matches!(needs, Needs::Nothing | Needs::Role(Role::Worker));
        assert!(may, "{form} needs {needs:?}");
    }
}

//! Every page of a farm that has something of everything: what a person can reach by following links.
//!
//! The addresses are found by walking, and the router's own table says whether one was forgotten.

use std::collections::{BTreeSet, VecDeque};

use e2e::{Edge, EdgeOptions, Farm, FarmOptions, edge::OWNER};
use serde_json::json;

use super::{publish, treat};
use crate::{
    store::MORNING,
    web::{self, Visitor},
};

/// Pages that nobody is led to.
const HIDDEN: [&str; 3] = ["/styleguide", "/nowhere", "/login"];
/// Where a walk begins: the first page, where a worker's first page leads, and what a farm in good order does not lead to.
const BEGIN: [&str; 4] = ["/", "/health", "/herd/duplicates", "/devices/refused"];
/// What a walk does not have to meet: programs ask for it, or a browser keeps it as a file, or it leads elsewhere.
const NO_PAGE: [&str; 8] = [
    "/alerts/", "/api/", "/assets/", "/live", "/healthz", "/readyz", "/metrics", "/setup",
];
/// Pages of one kind that are read for links; one of each is enough to look at.
const READ: usize = 60;

/// An appliance with a virtual farm, some days of its past, and things to settle.
pub(super) struct Stocked {
    pub(super) edge: Edge,
    /// The page of a cow whose milk must not reach the tank.
    treated: String,
    _farm: Farm,
}

pub(super) async fn stocked() -> Stocked {
    let dir = tempfile::tempdir().unwrap();
    let edge = Edge::start(&EdgeOptions {
        simulated: Some((MORNING, 1.0)),
        farm: Some(dir.path().to_owned()),
        ..EdgeOptions::default()
    });
    let options = FarmOptions {
        seed: 3,
        cows: 12,
        speed: 1.0,
        start_ms: edge.farm_time(),
        more: vec!["--days".to_owned(), "4".to_owned()],
    };
    let farm = Farm::start_with(&options, dir, &edge);
    farm.wait_provisioned();
    publish(
        &edge,
        "farm/milk/050001204999999/1",
        &json!({ "quantity": 7.2, "id": "stray" }).to_string(),
    );
    let treated = treat(&edge).await;
    key(&edge).await;
    Stocked {
        edge,
        treated,
        _farm: farm,
    }
}

/// Gives one sensor a key for frames: it is a node then, which has settings.
async fn key(edge: &Edge) {
    let devices = web::ask(edge, "/api/v1/devices").await;
    let items = devices["items"].as_array().unwrap();
    let node = items
        .iter()
        .find(|item| item["link"]["transport"] == "mqtt");
    let slug = node.expect("the virtual farm has MQTT nodes")["slug"]
        .as_str()
        .unwrap();
    let path = edge.url(&format!("/api/v1/devices/{slug}/frame-key"));
    let request = reqwest::Client::new().post(path).bearer_auth(&edge.token);
    assert!(request.send().await.unwrap().status().is_success());
}

/// One address for each kind of page.
pub(super) async fn every_page(stocked: &Stocked) -> Vec<String> {
    let owner = Visitor::log_in(&stocked.edge, OWNER).await;
    let patterns = patterns();
    let mut pages: Vec<String> = HIDDEN.map(str::to_owned).into();
    pages.push(stocked.treated.clone());
    let mut queue = VecDeque::from(BEGIN.map(str::to_owned));
    let mut known = BTreeSet::from(BEGIN.map(str::to_owned));
    let mut shown = BTreeSet::new();
    let mut read = std::collections::BTreeMap::<&str, usize>::new();
    while let Some(path) = queue.pop_front() {
        let pattern = pattern_of(&path, &patterns).expect("only pages are queued");
        let times = read.entry(pattern).or_default();
        *times += 1;
        if *times > READ {
            continue;
        }
        if shown.insert(kind_of(&path, pattern)) {
            pages.push(path.clone());
        }
        for link in links(&owner.page(&path).await) {
            if pattern_of(&link, &patterns).is_some() && known.insert(link.clone()) {
                queue.push_back(link);
            }
        }
    }
    let missed: Vec<&&str> = patterns
        .iter()
        .filter(|pattern| !read.contains_key(**pattern) && !HIDDEN.contains(*pattern))
        .collect();
    assert!(missed.is_empty(), "no link leads to {missed:?}");
    pages
}

/// The pages' patterns, from the router: `/herd/{id}`.
fn patterns() -> Vec<&'static str> {
    farm_web::route_table()
        .into_iter()
        .filter(|route| route.method.as_str() == "GET")
        .map(|route| route.path)
        .filter(|path| {
            ![".csv", ".pem"].iter().any(|end| path.ends_with(end))
                && !NO_PAGE.iter().any(|prefix| path.starts_with(prefix))
        })
        .collect()
}

/// The pattern that a path fits; one without a variable wins.
fn pattern_of<'a>(path: &str, patterns: &[&'a str]) -> Option<&'a str> {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let fits = |pattern: &&&str| {
        let (mut a, mut b) = (pattern.split('/'), path.split('/'));
        loop {
            match (a.next(), b.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || a.starts_with('{') => {}
                _ => return false,
            }
        }
    };
    patterns
        .iter()
        .filter(fits)
        .min_by_key(|p| p.matches('{').count())
        .copied()
}

/// What tells pages of one pattern apart: the kind of an event, which is asked for in another form each.
fn kind_of(path: &str, pattern: &str) -> String {
    let kind = if pattern.ends_with("/{kind}") {
        path.split(['?', '/']).next_back()
    } else {
        path.split_once("?kind=").map(|(_, kind)| kind)
    };
    format!("{pattern} {}", kind.unwrap_or_default())
}

/// The addresses on this site that a page links to.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"/")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(link, _)| format!("/{}", link.replace("&amp;", "&")))
        .collect()
}

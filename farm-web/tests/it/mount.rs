//! The same pages at a host: under a base, for people whom the host knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{Method, Request, StatusCode, header},
    response::Response,
    routing::any,
};
use farm_model::{UnixMillis, staff::Role};
use farm_web::{
    App, Base, Deed, Host, HostLinks, Mount, Mounted, Needs, NoHardware, Options, Part, RouteEntry,
    Served, StoreIngest, Visitor, mounted, route_table,
};
use futures_util::future::BoxFuture;
use tower::ServiceExt as _;

use crate::{
    access::path_of,
    client::{Answer, As, Site},
    live::Stream,
    seed::{NOW, Seeded},
    transports::Socket,
};

const BASE: &str = "/farms/test-farm";

/// A hub as the farm's pages see it.
struct Hub {
    heard: AtomicI64,
    stands: AtomicBool,
}

impl Host for Hub {
    fn stands<'a>(&'a self, _: &'a Visitor) -> BoxFuture<'a, bool> {
        Box::pin(async { self.stands.load(Ordering::SeqCst) })
    }

    fn heard(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.heard.load(Ordering::SeqCst)))
    }
}

/// A host with one farm, reached through a router of its own with parameters in its routes.
struct Hosted {
    site: Site,
    seeded: Seeded,
    hub: Arc<Hub>,
    pages: Mounted,
}

async fn serve(
    State((pages, visitor)): State<(Mounted, Visitor)>,
    Path(_): Path<Vec<(String, String)>>,
    request: axum::extract::Request,
) -> Response {
    pages.answer(visitor, request).await
}

fn visitor(part: Part) -> Visitor {
    Visitor {
        account: "01a1fb00-381a-756c-9228-60dba6b890e2".into(),
        name: "Karim Uddin".into(),
        session: "s".into(),
        part,
        lang: ui::Lang::En,
        theme: ui::shell::Theme::Auto,
    }
}

impl Hosted {
    async fn new() -> Self {
        let (site, seeded) = Site::full().await;
        let hub = Arc::new(Hub {
            heard: AtomicI64::new(NOW.0),
            stands: AtomicBool::new(true),
        });
        let pages = mounted(
            App {
                farm: site.farm.clone(),
                hardware: Arc::new(NoHardware),
                ingest: Arc::new(StoreIngest(site.farm.clone())),
                options: Options::default(),
            },
            Mount {
                base: Base::new(BASE).unwrap(),
                host: hub.clone(),
                links: HostLinks {
                    farms: "/hub/farms".into(),
                    account: "/hub/account".into(),
                    log_out: "/hub/logout".into(),
                    preferences: "/hub/preferences".into(),
                },
            },
        );
        Self {
            site,
            seeded,
            hub,
            pages,
        }
    }

    /// The host's router, for who has that part.
    fn router(&self, part: Part) -> Router {
        Router::new()
            .route("/farms/{slug}", any(serve))
            .route("/farms/{slug}/", any(serve))
            .route("/farms/{slug}/{*rest}", any(serve))
            .with_state((self.pages.clone(), visitor(part)))
    }

    async fn raw(&self, part: Part, request: Request<Body>) -> Response {
        self.router(part).oneshot(request).await.unwrap()
    }

    /// Asks for an address, which has the base in it.
    async fn ask(&self, part: Part, method: Method, address: &str, body: &str) -> Answer {
        let kind = if address.contains("/api/") {
            "application/json"
        } else {
            "application/x-www-form-urlencoded"
        };
        let request = Request::builder()
            .method(method)
            .uri(address)
            .header(header::CONTENT_TYPE, kind)
            // What would log in at the appliance means nothing here.
            .header(header::COOKIE, format!("session={}", self.seeded.worker))
            .body(Body::from(body.to_owned()))
            .unwrap();
        Answer::of(self.raw(part, request).await).await
    }

    async fn get(&self, part: Part, path: &str) -> Answer {
        self.ask(part, Method::GET, &format!("{BASE}{path}"), "")
            .await
    }

    async fn post(&self, part: Part, path: &str, form: &str) -> Answer {
        self.ask(part, Method::POST, &format!("{BASE}{path}"), form)
            .await
    }
}

/// Every attribute of a page, with the name of its element.
fn attributes(html: &str) -> Vec<(&str, &str, String)> {
    let mut found = Vec::new();
    for tag in html.split('<').skip(1) {
        let element = tag.split([' ', '>']).next().unwrap_or_default();
        let inside = tag.split_once(' ').map_or("", |(_, rest)| rest);
        let mut rest = inside;
        while let Some((before, after)) = rest.split_once("=\"") {
            let Some((value, next)) = after.split_once('"') else {
                break;
            };
            if before.contains('>') {
                break;
            }
            let name = before.rsplit(' ').next().unwrap_or_default();
            found.push((element, name, value.replace("&amp;", "&")));
            rest = next;
        }
    }
    found
}

/// The way of a form, and where it goes.
fn forms(html: &str) -> Vec<(Method, String)> {
    let mut forms = Vec::new();
    for part in html.split("<form").skip(1) {
        let tag = format!("<form{}>", part.split('>').next().unwrap_or_default());
        let all = attributes(&tag);
        let value = |wanted: &str| {
            let found = all.iter().find(|(_, name, _)| *name == wanted);
            found.map(|(_, _, value)| value.clone())
        };
        let method = match value("method").as_deref() {
            Some("post") => Method::POST,
            _ => Method::GET,
        };
        forms.push((method, value("action").unwrap_or_default()));
    }
    forms
}

/// The farm's routes, to look one up by a path.
struct Table(Vec<RouteEntry>);

impl Table {
    fn find(&self, method: &Method, path: &str) -> Option<&RouteEntry> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let fits = |entry: &&RouteEntry| {
            let (mut ours, mut theirs) = (entry.path.split('/'), path.split('/'));
            loop {
                match (ours.next(), theirs.next()) {
                    (None, None) => return entry.method == *method,
                    (Some(a), Some(b)) if a == b || a.starts_with('{') && !b.is_empty() => {}
                    _ => return false,
                }
            }
        };
        // A literal part goes before a parameter, as in the router.
        let all = self.0.iter().filter(fits);
        all.min_by_key(|entry| entry.path.matches('{').count())
    }

    fn served(&self, method: &Method, path: &str) -> Option<Served> {
        self.find(method, path).map(|entry| entry.served)
    }
}

fn is_the_hosts(address: &str) -> bool {
    address.starts_with("/hub/") || address.starts_with("/assets/")
}

/// Everything on the page at `from` that is wrong at a host, and the pages of the farm that it leads to.
fn judge(table: &Table, from: &str, html: &str, wrong: &mut Vec<String>) -> Vec<String> {
    let mut leads = Vec::new();
    for (element, name, value) in attributes(html) {
        let leads_on = ["href", "src", "action", "formaction"].contains(&name);
        let rooted = value.starts_with('/') && !value.starts_with("/dev/");
        if leads_on && !rooted && !value.starts_with(['#', '?']) {
            wrong.push(format!(
                "{from}: <{element} {name}={value:?}> is no address"
            ));
        }
        if !rooted || is_the_hosts(&value) {
            continue;
        }
        let Some(path) = value.strip_prefix(BASE).filter(|p| p.starts_with('/')) else {
            wrong.push(format!(
                "{from}: <{element} {name}={value:?}> leaves the farm"
            ));
            continue;
        };
        if element == "a" && name == "href" {
            if table.served(&Method::GET, path) == Some(Served::Appliance) {
                wrong.push(format!("{from}: {value} is not served here"));
            } else {
                leads.push(value.clone());
            }
        }
    }
    for (method, action) in forms(html) {
        if is_the_hosts(&action) || action.is_empty() {
            continue;
        }
        let path = action.strip_prefix(BASE).unwrap_or_default();
        if table.served(&method, path) != Some(Served::Everywhere) {
            wrong.push(format!("{from}: {method} {action} is not served here"));
        }
    }
    leads
}

/// The most pages of one route that a crawl asks for.
const MOST: u32 = 6;

async fn crawl(hosted: &Hosted, part: Part) -> usize {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    let table = Table(route_table());
    let starts = table.0.iter().filter(|e| {
        e.method == Method::GET
            && e.served == Served::Everywhere
            && matches!(e.needs, Needs::Role(role) if role <= part.role())
            && !(part == Part::Reader && e.deed == Deed::Change)
    });
    let starts: Vec<String> = starts
        .map(|e| format!("{BASE}{}", path_of(e.path, &hosted.seeded)))
        .collect();
    let mut todo = starts.clone();
    let mut asked = BTreeMap::<&str, u32>::new();
    while let Some(address) = todo.pop() {
        if !seen.insert(address.clone()) {
            continue;
        }
        // Of a herd's pages, and of the ways to sort a list, a few are enough.
        let path = address.strip_prefix(BASE).unwrap_or_default();
        let entry = table.find(&Method::GET, path);
        let ties = entry.is_some_and(|e| part == Part::Reader && e.deed == Deed::Change);
        let above =
            matches!(entry, Some(e) if matches!(e.needs, Needs::Role(role) if role > part.role()));
        let route = entry.map_or("none", |e| e.path);
        let times = asked.entry(route).or_default();
        *times += 1;
        if *times > MOST {
            continue;
        }
        let answer = hosted.ask(part, Method::GET, &address, "").await;
        let (status, location) = (answer.status, &answer.location);
        let inside = location.starts_with(&format!("{BASE}/"));
        match status {
            _ if status.is_success() => {}
            _ if status.is_redirection() && inside => todo.push(location.clone()),
            // A live list is one for all: it names the inbox to a worker too, and a new animal to a reader.
            StatusCode::FORBIDDEN if above || ties && route == "/herd/new" => {}
            // A route by itself may be of nothing, or lack what to ask for; a page that leads there is wrong.
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST if starts.contains(&address) => {}
            _ => wrong.push(format!("{address}: {status} {location}")),
        }
        todo.extend(judge(&table, &address, &answer.text, &mut wrong));
    }
    assert!(wrong.is_empty(), "{part:?}:\n{}", wrong.join("\n"));
    asked.len()
}

#[tokio::test]
async fn no_page_leads_out_of_the_farm_or_to_what_is_not_there() {
    let hosted = Hosted::new().await;
    for part in Part::ALL {
        let pages = crawl(&hosted, *part).await;
        assert!(pages > 15, "{part:?} saw only {pages} kinds of pages");
    }
}

#[tokio::test]
async fn what_only_the_appliance_has_is_refused_in_words() {
    let hosted = Hosted::new().await;
    let mut reasons = BTreeMap::<&str, u32>::new();
    for entry in route_table() {
        let path = path_of(entry.path, &hosted.seeded);
        let address = format!("{BASE}{path}");
        let owner = |method| hosted.ask(Part::Owner, method, &address, "");
        if entry.served == Served::Appliance {
            let refused = owner(entry.method.clone()).await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{entry:?}");
            if entry.path.starts_with("/api/") {
                assert_eq!(refused.json()["reason"], "at-the-farm", "{entry:?}");
            } else {
                assert!(refused.text.contains("only done at the farm"), "{entry:?}");
                assert!(refused.text.contains("/hub/farms"), "{entry:?}");
            }
            *reasons.entry("at the farm").or_default() += 1;
        } else if entry.deed == Deed::Change {
            let refused = hosted
                .ask(Part::Reader, entry.method.clone(), &address, "")
                .await;
            assert_eq!(refused.status, StatusCode::FORBIDDEN, "{entry:?}");
            assert!(refused.text.contains("not change it"), "{entry:?}");
            *reasons.entry("only read").or_default() += 1;
        }
    }
    assert!(reasons.values().all(|n| *n > 15), "{reasons:?}");
}

/// What is left of a page for who may only look: forms and what is marked to change something are hidden from them.
fn to_read(page: &str) -> String {
    let mut left = String::new();
    let mut rest = page;
    let hidden = [
        ("<span class=\"changes\">", "</span></a></span>"),
        ("<form", "</form>"),
    ];
    loop {
        let next = hidden
            .iter()
            .filter_map(|(from, to)| Some((rest.find(from)?, to)))
            .min_by_key(|(at, _)| *at);
        let Some((at, to)) = next else { break };
        left.push_str(&rest[..at]);
        rest = &rest[at..];
        rest = &rest[rest.find(to).expect("what begins ends") + to.len()..];
    }
    left + rest
}

#[tokio::test]
async fn a_reader_is_led_to_nothing_that_they_may_not_do() {
    let hosted = Hosted::new().await;
    let table = Table(route_table());
    let (mut pages, mut hidden) = (0, 0);
    for entry in &table.0 {
        let looks = entry.method == Method::GET && entry.deed == Deed::Look;
        if !looks || entry.served != Served::Everywhere {
            continue;
        }
        let path = path_of(entry.path, &hosted.seeded);
        let page = hosted.get(Part::Reader, &path).await.text;
        if !page.contains("<main") {
            continue;
        }
        assert!(page.contains("only-read"), "{path}");
        pages += 1;
        hidden += page.matches("class=\"changes\"").count();
        for (element, name, value) in attributes(&to_read(&page)) {
            let Some(there) = value.strip_prefix(BASE) else {
                continue;
            };
            if element == "a" && name == "href" {
                let deed = table.find(&Method::GET, there).map(|entry| entry.deed);
                assert_ne!(deed, Some(Deed::Change), "{path} leads to {there}");
            }
        }
    }
    assert!(pages > 10 && hidden > 0, "{pages} pages, {hidden} hidden");
}

#[tokio::test]
async fn each_part_sees_what_its_role_sees() {
    let hosted = Hosted::new().await;
    for entry in route_table() {
        let (Served::Everywhere, Needs::Role(needs)) = (entry.served, entry.needs) else {
            continue;
        };
        if entry.method != Method::GET {
            continue;
        }
        let path = path_of(entry.path, &hosted.seeded);
        for part in Part::ALL {
            let status = hosted.get(*part, &path).await.status;
            let refused = status == StatusCode::FORBIDDEN;
            let above = part.role() < needs;
            let tied = *part == Part::Reader && entry.deed == Deed::Change;
            assert_eq!(refused, above || tied, "{part:?} {entry:?} {status}");
        }
    }
    assert_eq!(Part::Vet.role(), Role::Worker);
}

#[tokio::test]
async fn who_did_it_is_named_at_the_host_and_at_the_farm() {
    let hosted = Hosted::new().await;
    let cows = hosted.site.farm.read(farm::animals::list).await.unwrap();
    let cow = cows.iter().find(|a| a.number == "125").unwrap();
    let form = "key=one&litres=8.5&destination=tank";
    let path = format!("/record/{}", cow.id);
    let saved = hosted.post(Part::Worker, &path, form).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text);
    let visit = saved
        .location
        .strip_prefix(&format!("{BASE}/record?done=milked."))
        .unwrap()
        .to_owned();
    let undo = hosted
        .ask(Part::Worker, Method::GET, &saved.location, "")
        .await;
    assert!(undo.text.contains(&format!("{BASE}/milkings/{visit}/void")));
    // The same account may put its own record right, whatever it is called by now.
    let record = format!("/milkings/{visit}");
    let fixed = hosted
        .post(
            Part::Worker,
            &record,
            "litres=8.6&destination=tank&why=slip",
        )
        .await;
    assert_eq!(fixed.location, format!("{BASE}{record}?done=saved"));
    let there = hosted.get(Part::Manager, &record).await.text;
    let here = hosted
        .site
        .get(&record, As::Session(&hosted.seeded.manager));
    for page in [there, here.await.text] {
        assert!(page.contains("Karim Uddin"), "{page}");
    }
    let id = visit.parse().unwrap();
    let words = hosted
        .site
        .farm
        .read(move |conn| farm::milkings::history(conn, id))
        .await
        .unwrap();
    assert_eq!(
        words[0].actor,
        "hub:01a1fb00-381a-756c-9228-60dba6b890e2 Karim Uddin"
    );
}

#[tokio::test]
async fn the_frame_is_the_hosts_and_says_how_fresh_the_farm_is() {
    let hosted = Hosted::new().await;
    let page = hosted.get(Part::Vet, "/").await.text;
    for part in [
        "href=\"/hub/farms\"",
        "href=\"/hub/account\"",
        "action=\"/hub/logout\"",
        "action=\"/hub/preferences\"",
        "Karim Uddin",
        ">Karim Uddin</strong><br>Vet",
        "Up to date with the farm",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("Set-Cookie"));
    hosted
        .hub
        .heard
        .store(NOW.0 - 2 * 3_600_000, Ordering::SeqCst);
    let page = hosted.get(Part::Reader, "/tanks").await.text;
    assert!(page.contains("2 hours ago</time>. Numbers are as of then."));
    assert!(page.contains("You may look at this farm, not change it."));
    // At the farm itself there is no such line.
    let own = hosted
        .site
        .get("/", As::Session(&hosted.seeded.manager))
        .await;
    assert!(!own.text.contains("host-line"));
}

#[tokio::test]
async fn live_pages_lead_within_the_farm_and_end_when_the_host_says_so() {
    let hosted = Hosted::new().await;
    let open = Request::get(format!("{BASE}/live?topics=today,heard"))
        .body(Body::empty())
        .unwrap();
    let mut stream = Stream::of(hosted.raw(Part::Manager, open).await);
    let alerts = stream.until("today-alerts").await;
    assert!(
        alerts.contains(&format!("href=\"{BASE}/alerts\"")),
        "{alerts}"
    );
    hosted.hub.heard.store(NOW.0 - 3_600_000, Ordering::SeqCst);
    let heard = stream.until("was last heard").await;
    assert!(heard.contains("id=\"heard\""), "{heard}");
    hosted.hub.stands.store(false, Ordering::SeqCst);
    hosted.pages.revoke(&visitor(Part::Manager).account);
    stream.end().await;
}

#[tokio::test]
async fn a_websocket_opens_through_the_host_and_ends_when_it_says_so() {
    let hosted = Hosted::new().await;
    let path = format!("{BASE}/live/ws?topics=today,heard");
    let mut socket = Socket::dial(hosted.router(Part::Reader), &path, &[])
        .await
        .unwrap();
    let alerts = socket.until("today-alerts").await;
    assert!(alerts.data.contains(&format!("href=\"{BASE}/alerts\"")));
    assert_eq!(hosted.pages.streams(), 1, "the host keeps the farm open");
    hosted.hub.stands.store(false, Ordering::SeqCst);
    hosted.pages.revoke(&visitor(Part::Reader).account);
    socket.end().await;
    // A reader sees what a manager sees, and no more.
    let path = format!("{BASE}/live/ws?topics=hub");
    let refused = Socket::dial(hosted.router(Part::Reader), &path, &[]).await;
    assert_eq!(refused.err(), Some(StatusCode::FORBIDDEN));
    for transport in ["live", "live/poll"] {
        let path = format!("/{transport}?topics=hub");
        let refused = hosted.get(Part::Reader, &path).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{transport}");
    }
}

#[tokio::test]
async fn a_poll_that_waits_ends_when_the_host_says_so() {
    let hosted = Hosted::new().await;
    let path = "/live/poll?topics=alerts";
    let first = hosted.get(Part::Manager, path).await.json();
    let path = format!("{path}&after={}", first["after"]);
    let waits = async { hosted.get(Part::Manager, &path).await.json() };
    let ends = async {
        while hosted.pages.streams() == 0 {
            tokio::task::yield_now().await;
        }
        hosted.hub.stands.store(false, Ordering::SeqCst);
        hosted.pages.revoke(&visitor(Part::Manager).account);
    };
    let began = Instant::now();
    let (told, ()) = tokio::join!(waits, ends);
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "it need not wait"
    );
    assert_eq!(told["events"], serde_json::json!([]));
    assert_eq!(told["after"], first["after"]);
}

#[tokio::test]
async fn another_site_cannot_post_here_either() {
    let hosted = Hosted::new().await;
    let request = Request::post(format!("{BASE}/settings"))
        .header("origin", "http://evil.test")
        .header("host", "hub.test")
        .body(Body::empty())
        .unwrap();
    let refused = hosted.raw(Part::Owner, request).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let own = Request::post(format!("{BASE}/settings"))
        .header("origin", "https://hub.test")
        .header("host", "hub.test")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::empty())
        .unwrap();
    let taken = hosted.raw(Part::Owner, own).await;
    assert_ne!(taken.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_address_outside_the_base_is_not_the_farms() {
    let hosted = Hosted::new().await;
    for address in [
        "/farms/other/herd",
        "/farms/test-farmer/herd",
        "/farms/other",
    ] {
        let answer = hosted.ask(Part::Owner, Method::GET, address, "").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{address}");
    }
    let home = hosted.ask(Part::Owner, Method::GET, BASE, "").await;
    assert_eq!(home.status, StatusCode::OK);
}

#[tokio::test]
async fn the_api_stands_under_the_base_and_says_so() {
    let hosted = Hosted::new().await;
    let document = hosted
        .get(Part::Reader, "/api/v1/openapi.json")
        .await
        .json();
    assert_eq!(document["servers"][0]["url"], BASE);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/api/v1/milkings") && !paths.contains_key("/api/v1/joins"));
    for (path, item) in paths {
        let reads = item.get("get").is_some() && !path.contains("readings");
        if reads {
            let answer = hosted.get(Part::Reader, path).await;
            assert_eq!(answer.status, StatusCode::OK, "{path} {}", answer.text);
        }
    }
    let row = r#"{"items": [{"number": "901", "sex": "female", "status": "dry"}]}"#;
    let refused = hosted.post(Part::Reader, "/api/v1/animals", row).await;
    assert_eq!(refused.json()["reason"], "read-only");
    let refused = hosted.post(Part::Worker, "/api/v1/animals", row).await;
    assert_eq!(refused.json()["reason"], "forbidden");
    let taken = hosted.post(Part::Manager, "/api/v1/animals", row).await;
    assert!(taken.status.is_success(), "{}", taken.text);
    let herd = hosted.site.farm.read(farm::animals::list).await.unwrap();
    assert!(herd.iter().any(|a| a.number == "901"));
    let unknown = hosted.get(Part::Owner, "/api/v1/nothing").await;
    assert_eq!(unknown.json()["reason"], "not-found");
}

#[tokio::test]
async fn a_phone_far_away_pushes_to_the_host_what_its_part_allows() {
    let hosted = Hosted::new().await;
    let path = "/api/v1/mobile/sync/push";
    let push = serde_json::json!({ "records": [{
        "localId": "1", "entity": "event", "action": "create", "createdAt": NOW.0,
        "data": { "animal": "131", "kind": "note", "text": "limps" },
    }]})
    .to_string();
    let refused = hosted.post(Part::Reader, path, &push).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.json()["reason"], "read-only");
    for outcome in ["stored", "known"] {
        let taken = hosted.post(Part::Worker, path, &push).await.json();
        assert_eq!(taken["synced"], serde_json::json!(["1"]), "{taken}");
        assert_eq!(taken["records"][0]["outcome"], outcome, "{taken}");
    }
    let herd = hosted.site.farm.read(farm::animals::list).await.unwrap();
    let cow = herd.iter().find(|a| a.number == "131").unwrap().id;
    let told = hosted
        .site
        .farm
        .read(move |conn| farm::events::of_animal(conn, cow));
    let told = told.await.unwrap();
    let by: Vec<&str> = told.iter().map(|e| e.actor.as_str()).collect();
    assert_eq!(
        by.iter().filter(|by| by.ends_with("Karim Uddin")).count(),
        1,
        "{by:?}"
    );
}

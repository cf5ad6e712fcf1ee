//! The live events over each transport: a stream, a WebSocket and long polls tell the same.

use std::{collections::VecDeque, time::Duration};

use axum::{Router, http::StatusCode};
use farm_model::staff::Role;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderName},
};

use crate::{
    client::{As, Site},
    live::{MANAGER, Stream, change, edit},
    seed::Seeded,
};

const DEADLINE: Duration = Duration::from_secs(20);
/// Longer than boards are kept after the last look.
const FORGOTTEN: Duration = Duration::from_secs(60);
const TRANSPORTS: [&str; 3] = ["/live", "/live/poll", "/live/ws"];

/// What every transport tells.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub(crate) struct Event {
    id: u64,
    event: String,
    pub(crate) data: String,
}

impl Event {
    /// One of a stream, as a browser reads it; a heartbeat has no number.
    fn of_stream(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let lines = text.lines().filter_map(|line| line.strip_prefix(name));
            lines.collect::<Vec<_>>().join("\n")
        };
        Some(Self {
            id: field("id: ").parse().ok()?,
            event: field("event: "),
            data: field("data: "),
        })
    }
}

/// A WebSocket to a router that is served on a port of its own.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Shakes hands; the status when that is refused.
    pub(crate) async fn dial(
        router: Router,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, StatusCode> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async { axum::serve(listener, router).await });
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .unwrap();
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            let value = value.replace("{us}", &address.to_string());
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let stream = TcpStream::connect(address).await.unwrap();
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(answer)) => Err(answer.status()),
            Err(error) => panic!("{error}"),
        }
    }

    async fn event(&mut self) -> Event {
        loop {
            let message = tokio::time::timeout(DEADLINE, self.0.next());
            let message = message.await.expect("in time").expect("goes on").unwrap();
            match message {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn until(&mut self, wanted: &str) -> Event {
        loop {
            let event = self.event().await;
            if event.data.contains(wanted) {
                return event;
            }
        }
    }

    /// Reads until it is closed in order.
    pub(crate) async fn end(mut self) {
        let closed = tokio::time::timeout(DEADLINE, async {
            while let Some(message) = self.0.next().await {
                if message.unwrap().is_close() {
                    return true;
                }
            }
            false
        });
        assert!(closed.await.expect("in time"), "closed in order");
    }
}

/// One who polls.
struct Poller<'a> {
    site: &'a Site,
    secret: &'a str,
    topics: &'a str,
    after: u64,
    events: VecDeque<Event>,
}

impl Poller<'_> {
    async fn poll(&mut self) -> Vec<Event> {
        let (topics, after) = (self.topics, self.after);
        let path = format!("/live/poll?topics={topics}&after={after}");
        let answer = self.site.get(&path, As::Session(self.secret)).await;
        assert_eq!(answer.status, StatusCode::OK);
        self.after = answer.json()["after"].as_u64().unwrap();
        serde_json::from_value(answer.json()["events"].clone()).unwrap()
    }
}

/// Somebody who watches.
enum Watcher<'a> {
    Stream(Stream),
    Poller(Poller<'a>),
    Socket(Box<Socket>),
}

impl<'a> Watcher<'a> {
    async fn open(
        transport: &str,
        site: &'a Site,
        secret: &'a str,
        topics: &'a str,
        after: u64,
    ) -> Self {
        let path = format!("{transport}?topics={topics}&after={after}");
        match transport {
            "/live" => Self::Stream(Stream::open(site, secret, &path, None).await),
            "/live/ws" => {
                let cookie = format!("session={secret}; lang=en");
                let shown = [("cookie", cookie.as_str())];
                let socket = Socket::dial(site.router.clone(), &path, &shown).await;
                Self::Socket(Box::new(socket.unwrap()))
            }
            _ => Self::Poller(Poller {
                site,
                secret,
                topics,
                after,
                events: VecDeque::new(),
            }),
        }
    }

    async fn event(&mut self) -> Event {
        match self {
            Self::Stream(stream) => Event::of_stream(&stream.until("id: ").await).unwrap(),
            Self::Socket(socket) => socket.event().await,
            Self::Poller(poller) => loop {
                if let Some(event) = poller.events.pop_front() {
                    return event;
                }
                poller.events = poller.poll().await.into();
            },
        }
    }

    /// Everything up to the event that has `wanted` in it.
    async fn until(&mut self, wanted: &str) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let found = event.data.contains(wanted);
            events.push(event);
            if found {
                return events;
            }
        }
    }
}

#[tokio::test]
async fn three_transports_tell_the_same_sequence() {
    let (site, seeded) = Site::full().await;
    let mut watchers = Vec::new();
    for transport in TRANSPORTS {
        let watcher = Watcher::open(transport, &site, &seeded.worker, "parlour,alerts", 0).await;
        watchers.push((watcher, Vec::new()));
    }
    for (watcher, told) in &mut watchers {
        told.extend(watcher.until("open-alerts").await);
    }
    for ml in [4_400, 5_500, 6_600, 7_700, 8_800] {
        change(&site, &seeded, ml);
        let shown = format!("{:.1}", ml as f64 / 1000.0);
        for (watcher, told) in &mut watchers {
            told.extend(watcher.until(&shown).await);
        }
    }
    let told = &watchers[0].1;
    assert!(told.len() > 10, "all stalls and five changes: {told:?}");
    assert!(told.is_sorted_by(|a, b| a.id < b.id), "{told:?}");
    assert!(told.iter().all(|event| event.event == "fragment"));
    for (_, other) in &watchers[1..] {
        assert_eq!(other, told);
    }
}

#[tokio::test]
async fn after_a_break_each_transport_brings_what_is_missing() {
    let (site, seeded) = Site::full().await;
    let mut seen = 0;
    for transport in TRANSPORTS {
        let mut watcher = Watcher::open(transport, &site, &seeded.worker, "parlour", 0).await;
        change(&site, &seeded, 4_400);
        let event = watcher.until("4.4").await.pop().unwrap();
        seen = seen.max(event.id);
        change(&site, &seeded, 3_300);
        let event = watcher.until("3.3").await.pop().unwrap();
        seen = seen.max(event.id);
    }
    // All are away, not for long, while something happens.
    change(&site, &seeded, 5_500);
    let mut told = Vec::new();
    for transport in TRANSPORTS {
        let mut again = Watcher::open(transport, &site, &seeded.worker, "parlour", seen).await;
        let missed = again.until("5.5").await;
        assert!(missed.iter().all(|event| event.id > seen), "{missed:?}");
        assert!(missed.len() < 4, "no more than what changed: {missed:?}");
        told.push(missed);
    }
    assert!(told.iter().all(|missed| *missed == told[0]), "{told:?}");
}

fn poller<'a>(site: &'a Site, seeded: &'a Seeded, topics: &'a str) -> Poller<'a> {
    Poller {
        site,
        secret: &seeded.worker,
        topics,
        after: 0,
        events: VecDeque::new(),
    }
}

#[tokio::test]
async fn a_poll_without_news_waits_and_keeps_its_place() {
    let (site, seeded) = Site::full().await;
    let mut poller = poller(&site, &seeded, "alerts");
    let all = poller.poll().await;
    assert!(!all.is_empty());
    let place = poller.after;
    assert_eq!(place, all.last().unwrap().id);
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(poller.poll().await, []);
    assert_eq!(began.elapsed().as_secs(), 25);
    assert_eq!(poller.after, place);
}

#[tokio::test]
async fn a_poll_after_a_long_gap_brings_the_present_state_of_everything() {
    let (site, seeded) = Site::full().await;
    let mut poller = poller(&site, &seeded, "parlour");
    let before = poller.poll().await;
    tokio::time::pause();
    tokio::time::advance(FORGOTTEN).await;
    tokio::time::resume();
    change(&site, &seeded, 5_500);
    let place = poller.after;
    let now = poller.poll().await;
    assert_eq!(now.len(), before.len(), "as many fragments as at first");
    assert!(now.iter().all(|event| event.id > place), "{now:?}");
    assert!(now.iter().any(|event| event.data.contains("5.5")));
}

/// The status with which it answers who shows this header.
async fn refusal(site: &Site, transport: &str, topics: &str, shown: (&str, &str)) -> StatusCode {
    let path = format!("{transport}?topics={topics}");
    let socket = Socket::dial(site.router.clone(), &path, &[shown]).await;
    socket.err().expect("no handshake")
}

#[tokio::test]
async fn each_transport_refuses_who_may_not() {
    let (site, seeded) = Site::full().await;
    let worker = format!("session={}", seeded.worker);
    let token = format!("Bearer {}", seeded.manage);
    for transport in TRANSPORTS {
        for (shown, topics, status) in [
            (("x-nobody", "1"), "parlour", StatusCode::SEE_OTHER),
            (
                ("cookie", "session=made-up"),
                "parlour",
                StatusCode::SEE_OTHER,
            ),
            (
                ("authorization", "Bearer made-up"),
                "parlour",
                StatusCode::SEE_OTHER,
            ),
            (("authorization", &token), "parlour", StatusCode::FORBIDDEN),
            (("cookie", &worker), "parlour,inbox", StatusCode::FORBIDDEN),
            (
                ("cookie", &worker),
                "weather",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
        ] {
            let answer = refusal(&site, transport, topics, shown).await;
            assert_eq!(answer, status, "{transport} {shown:?} {topics}");
        }
    }
}

#[tokio::test]
async fn no_other_site_opens_a_socket_with_our_cookies() {
    let (site, seeded) = Site::full().await;
    let cookie = format!("session={}", seeded.worker);
    let dial = async |origin| {
        let headers = [("cookie", cookie.as_str()), ("origin", origin)];
        let path = "/live/ws?topics=parlour";
        Socket::dial(site.router.clone(), path, &headers).await
    };
    for origin in [
        "http://evil.test",
        "null",
        "http://127.0.0.1",
        "http://{us}.evil.test",
    ] {
        let refused = dial(origin).await.err();
        assert_eq!(refused, Some(StatusCode::FORBIDDEN), "{origin}");
    }
    let mut own = dial("http://{us}").await.unwrap();
    own.until("stall-1").await;
}

#[tokio::test]
async fn what_is_no_handshake_is_refused_in_words() {
    let (site, seeded) = Site::full().await;
    let path = "/live/ws?topics=parlour";
    let refused = site.get(path, As::Session(&seeded.worker)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_socket_ends_with_its_session_or_when_its_holder_may_see_less() {
    let (site, seeded) = Site::full().await;
    let dial = async |secret: &str, topics| {
        let cookie = format!("session={secret}");
        let path = format!("/live/ws?topics={topics}");
        let shown = [("cookie", cookie.as_str())];
        let socket = Socket::dial(site.router.clone(), &path, &shown).await;
        let mut socket = socket.unwrap();
        socket.event().await;
        socket
    };
    let socket = dial(&seeded.worker, "parlour").await;
    site.post("/logout", As::Session(&seeded.worker), "").await;
    socket.end().await;
    let socket = dial(&seeded.manager, "inbox").await;
    edit(&site, MANAGER, Role::Worker).await;
    socket.end().await;
}

#[tokio::test]
async fn a_watcher_hears_of_nothing_but_what_was_asked_for() {
    let (site, seeded) = Site::full().await;
    let mut managers = Poller {
        secret: &seeded.manager,
        ..poller(&site, &seeded, "inbox,today,devices")
    };
    let theirs: Vec<String> = managers.poll().await.into_iter().map(|e| e.data).collect();
    assert!(theirs.len() > 3, "{theirs:?}");
    for transport in TRANSPORTS {
        let mut watcher = Watcher::open(transport, &site, &seeded.worker, "parlour", 0).await;
        change(&site, &seeded, 4_400);
        let mut told = watcher.until("4.4").await;
        change(&site, &seeded, 5_500);
        told.extend(watcher.until("5.5").await);
        for event in told {
            assert!(!theirs.contains(&event.data), "{transport}: {event:?}");
            assert!(
                event.data.contains("id=\"stall-") || event.data.contains("parlour"),
                "{event:?}"
            );
        }
    }
}

//! The live stream.

use std::time::{Duration, Instant};

use axum::{
    body::Body,
    http::{Request, StatusCode},
    response::Response,
};
use farm::{
    Actor,
    logins::{Carrier, Login, Proof},
    staff,
    text::Name,
};
use farm_model::{live::Phase, staff::Role};
use http_body_util::BodyExt as _;

use crate::{
    client::{As, Site},
    seed::{self, Seeded},
};

/// A stream that is read event by event.
pub(crate) struct Stream {
    body: Body,
    text: String,
}

impl Stream {
    pub(crate) async fn open(site: &Site, secret: &str, path: &str, last: Option<&str>) -> Self {
        let mut request = Request::get(path).header("cookie", format!("session={secret}; lang=en"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Self::of(site.raw(request.body(Body::empty()).unwrap()).await)
    }

    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// Reads until an event has `wanted` in it, and returns that event.
    pub(crate) async fn until(&mut self, wanted: &str) -> String {
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                while let Some((event, rest)) = self.text.split_once("\n\n") {
                    let event = event.to_owned();
                    self.text = rest.to_owned();
                    if event.contains(wanted) {
                        return event;
                    }
                }
                let frame = self
                    .body
                    .frame()
                    .await
                    .expect("the stream goes on")
                    .unwrap();
                self.text
                    .push_str(&String::from_utf8_lossy(frame.data_ref().unwrap()));
            }
        })
        .await
        .expect("the event comes in time")
    }

    /// Reads until the end.
    pub(crate) async fn end(mut self) {
        tokio::time::timeout(Duration::from_secs(20), async {
            while self.body.frame().await.is_some() {}
        })
        .await
        .expect("the stream ends in time");
    }
}

fn id(event: &str) -> String {
    event
        .lines()
        .find_map(|l| l.strip_prefix("id: "))
        .unwrap()
        .to_owned()
}

pub(crate) fn change(site: &Site, seeded: &Seeded, ml: i64) {
    let mut parlour = site.farm.live().parlour();
    parlour.stalls[7].phase = Phase::Milking;
    parlour.stalls[7].animal = Some(seeded.cow);
    parlour.stalls[7].yield_ml = ml;
    site.farm.live().set_parlour(parlour);
}

#[tokio::test]
async fn a_change_in_the_parlour_arrives_and_a_break_is_made_up_for() {
    let (site, seeded) = Site::full().await;
    let mut stream = Stream::open(&site, &seeded.worker, "/live?topics=alerts,parlour", None).await;
    stream.until("id=\"stall-8\"").await;
    change(&site, &seeded, 4_400);
    let event = stream.until("4.4").await;
    assert!(event.contains("id=\"stall-8\""), "{event}");
    // A second one keeps the board awake while the first is away.
    let mut other = Stream::open(&site, &seeded.manager, "/live?topics=parlour", None).await;
    other.until("4.4").await;
    drop(stream);
    change(&site, &seeded, 5_500);
    other.until("5.5").await;
    let mut again = Stream::open(
        &site,
        &seeded.worker,
        "/live?topics=parlour",
        Some(&id(&event)),
    )
    .await;
    let missed = again.until("event: fragment").await;
    assert!(
        missed.contains("5.5"),
        "only what changed meanwhile comes: {missed}"
    );
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let (site, seeded) = Site::full().await;
    let mut stream = Stream::open(&site, &seeded.worker, "/live?topics=parlour", None).await;
    stream.until("stall-1").await;
    site.post("/logout", As::Session(&seeded.worker), "").await;
    stream.end().await;
}

/// A stream that nobody is told of looks at its session later than this.
const BEATS: Duration = Duration::from_secs(10);
/// What the manager is called.
pub(crate) const MANAGER: &str = "আনোয়ার";

/// Changes the member of staff who is called so.
pub(crate) async fn edit(site: &Site, name: &str, role: Role) {
    let called = Name::new(name).unwrap();
    let edited = site.farm.write(Actor::System, move |tx| {
        let all = staff::list(tx.conn())?;
        let who = all.iter().find(|s| s.name == called.as_str()).unwrap();
        staff::edit(tx, who.id, &called, role)
    });
    edited.await.unwrap();
}

#[tokio::test]
async fn a_stream_ends_when_its_holder_may_see_less() {
    let (site, seeded) = Site::full().await;
    let mut stream = Stream::open(&site, &seeded.manager, "/live?topics=inbox", None).await;
    stream.until("retry").await;
    edit(&site, MANAGER, Role::Manager).await;
    edit(&site, MANAGER, Role::Worker).await;
    let began = Instant::now();
    stream.end().await;
    assert!(began.elapsed() < BEATS, "at once, not when it is looked at");
    let refused = site.get("/live?topics=inbox", As::Session(&seeded.manager));
    assert_eq!(refused.await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn nobody_follows_who_has_not_logged_in() {
    let (site, seeded) = Site::full().await;
    let ended = seeded.worker.clone();
    site.post("/logout", As::Session(&ended), "").await;
    for who in [As::Nobody, As::Session("made-up"), As::Session(&ended)] {
        let refused = site.get("/live?topics=parlour", who).await;
        assert_eq!(refused.status, StatusCode::SEE_OTHER);
        assert!(refused.location.starts_with("/login"));
    }
}

#[tokio::test]
async fn a_worker_cannot_follow_what_is_a_managers() {
    let (site, seeded) = Site::full().await;
    let worker = As::Session(&seeded.worker);
    let refused = site.get("/live?topics=inbox", worker).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let unknown = site.get("/live?topics=weather", worker).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn one_devices_page_says_at_once_whether_it_is_connected() {
    let (site, seeded) = Site::full().await;
    let path = format!("/live?topics=device:{}", seeded.probe);
    let refused = site.get(&path, As::Session(&seeded.worker)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let mut stream = Stream::open(&site, &seeded.manager, &path, None).await;
    stream.until("It has not logged in yet").await;
    let live = site.farm.live();
    let login = Login {
        at: seed::NOW,
        peer: "10.0.0.7".parse().unwrap(),
        carrier: Carrier::Tls,
        proof: Proof::Certificate,
    };
    live.enters(seeded.probe, login);
    let event = stream.until("Connected now").await;
    for word in ["id=\"device-presence\"", "TLS", "Certificate", "10.0.0.7"] {
        assert!(event.contains(word), "{word}: {event}");
    }
    live.leaves(seeded.probe);
    stream.until("Not connected").await;
}

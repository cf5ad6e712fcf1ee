//! Those who work at both places while the line and the programs come and go: a parlour that tells milkings until they are acknowledged,
//! and people with browsers who try once.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
    time::{Duration, Instant},
};

use e2e::{
    edge::OWNER,
    hub::{PASSWORD, PEOPLE},
    until_async,
};
use reqwest::{Client, StatusCode, redirect::Policy};
use virtual_farm::rng::Rng;

use super::ledger::{Ledger, Word};
use crate::{raw, store};

/// How long anybody rests between two deeds, in milliseconds.
const REST_MS: (i64, i64) = (100, 400);
/// How long a milking is told again; the appliance is never away for so long.
const TOLD: Duration = Duration::from_secs(60);
/// How long a browser waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What all of them share.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub(crate) ledger: &'a Ledger,
    /// Nobody begins another deed.
    over: AtomicBool,
    /// The next milking's yield.
    next_ml: AtomicI64,
}

impl<'a> Work<'a> {
    pub(crate) fn new(ledger: &'a Ledger) -> Self {
        let last_ml = ledger.told().milkings.keys().last().copied();
        Self {
            ledger,
            over: AtomicBool::new(false),
            next_ml: AtomicI64::new(last_ml.unwrap_or(1_000) + 1),
        }
    }

    /// Ends it when the value is dropped, also when a test panics.
    pub(crate) fn until_dropped(&self) -> Enough<'_> {
        Enough(&self.over)
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Milks one cow, which is acknowledged.
    pub(crate) fn milk_once(&self, door: SocketAddr, tag: &str) {
        let ml = self.next_ml.fetch_add(1, Ordering::Relaxed);
        self.ledger.milked(ml, Word::Tried);
        tell(&mut None, door, tag, ml).expect("the appliance runs");
        self.ledger.milked(ml, Word::Acknowledged);
    }

    /// Milks one cow after the other; what was told once is told until it is acknowledged, as a node does.
    pub(crate) fn milk(&self, door: SocketAddr, tags: &[String], mut rng: Rng) {
        let mut line: Option<TcpStream> = None;
        while self.goes_on() {
            let ml = self.next_ml.fetch_add(1, Ordering::Relaxed);
            let tag = &tags[rng.whole(0, tags.len() as i64 - 1) as usize];
            self.ledger.milked(ml, Word::Tried);
            let began = Instant::now();
            while let Err(error) = tell(&mut line, door, tag, ml) {
                line = None;
                assert!(began.elapsed() < TOLD, "{ml} ml is never acknowledged");
                assert!(
                    error.kind() != io::ErrorKind::InvalidData,
                    "{ml} ml: {error}"
                );
                rest(&mut rng);
            }
            self.ledger.milked(ml, Word::Acknowledged);
            rest(&mut rng);
        }
    }

    /// Somebody with a browser at one of the places: enters cows, names cows anew, strikes milkings out.
    pub(crate) async fn browse(&self, mut browser: Browser, cows: &[&str], mut rng: Rng) {
        let mut n = 0;
        while self.goes_on() {
            n += 1;
            // It comes to nothing whenever the program is away; the ledger then says so.
            let _ = match rng.whole(0, 9) {
                0..=1 => self.enter(&mut browser, n).await,
                2..=3 => self.strike(&mut browser).await,
                _ => {
                    let number = cows[rng.whole(0, cows.len() as i64 - 1) as usize];
                    self.name(&mut browser, number, n).await
                }
            };
            rest(&mut rng);
        }
    }

    /// Enters a cow; `None` when nobody knows whether she was taken.
    pub(crate) async fn enter(&self, browser: &mut Browser, n: u32) -> Option<()> {
        let number = format!("{}{n}", browser.place);
        self.ledger.named(&number, browser.place, "new");
        browser.send("/herd/new", &cow(&number, "new")).await?;
        self.ledger.was_taken(&number, browser.place);
        Some(())
    }

    async fn name(&self, browser: &mut Browser, number: &str, n: u32) -> Option<()> {
        let name = format!("{} {n}", browser.place);
        let id = browser.find(&format!("SELECT id FROM animal WHERE number = '{number}'"))?;
        self.ledger.named(number, browser.place, &name);
        let path = format!("/herd/{}/edit", uuid(&id.0));
        browser.send(&path, &cow(number, &name)).await?;
        self.ledger.was_taken(number, browser.place);
        Some(())
    }

    async fn strike(&self, browser: &mut Browser) -> Option<()> {
        let (id, ml) = browser
            .find("SELECT id, yield_ml FROM visit WHERE voided = 0 ORDER BY yield_ml LIMIT 1")?;
        if self.ledger.told().struck.get(&ml) != Some(&Word::Acknowledged) {
            self.ledger.struck(ml, Word::Tried);
        }
        browser
            .send(&format!("/milkings/{}/void", uuid(&id)), &[])
            .await?;
        self.ledger.struck(ml, Word::Acknowledged);
        Some(())
    }
}

/// The end of work.
pub(crate) struct Enough<'a>(&'a AtomicBool);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn rest(rng: &mut Rng) {
    let (least, most) = REST_MS;
    thread::sleep(Duration::from_millis(rng.whole(least, most) as u64));
}

/// Tells the door of a milking and waits until it is acknowledged.
fn tell(line: &mut Option<TcpStream>, door: SocketAddr, tag: &str, ml: i64) -> io::Result<()> {
    let stream = match line {
        Some(stream) => stream,
        None => line.insert(raw::try_connect(door, "parlour")?),
    };
    let (litres, rest) = (ml / 1000, ml % 1000);
    let told = format!(r#"{{"quantity": {litres}.{rest:03}, "id": "m-{ml}"}}"#);
    let packet = raw::publish(0x32, &format!("farm/milk/{tag}/1"), 1, &told);
    stream.write_all(&packet)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer == [0x40, 2, 0, 1] {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{answer:?}"),
        ))
    }
}

fn cow<'a>(number: &'a str, name: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("number", number),
        ("name", name),
        ("sex", "female"),
        ("status", "lactating"),
    ]
}

fn uuid(id: &[u8]) -> String {
    let id: [u8; 16] = id.try_into().expect("an identity has 16 bytes");
    farm_model::AnimalId::from_bytes(id).to_string()
}

/// A browser that is logged in at one of the places. It must be made and used in that place's network.
#[derive(Debug)]
pub(crate) struct Browser {
    place: &'static str,
    client: Client,
    /// What addresses of the farm's pages begin with.
    base: String,
    cookie: String,
    file: PathBuf,
}

impl Browser {
    /// At the appliance, as the owner.
    pub(crate) async fn at_the_edge(web: SocketAddr, file: PathBuf) -> Self {
        let client = client();
        let base = format!("http://{web}");
        let page = until_async("the log-in page", TOLD.as_secs(), async || {
            let page = client.get(format!("{base}/login")).send().await.ok()?;
            page.text().await.ok()
        });
        let page = page.await;
        let before = &page[..page.find(OWNER.0).expect("the log-in page names everybody")];
        let who = &before[before.rfind("who=").unwrap() + 4..][..36];
        let fields = [("who", who), ("pin", OWNER.1), ("next", "/")];
        let cookie = log_in(&client, &base, &fields).await;
        Self {
            place: "edge",
            client,
            base,
            cookie,
            file,
        }
    }

    /// At the hub, as the farm's manager.
    pub(crate) async fn at_the_hub(web: SocketAddr, farm: &str, file: PathBuf) -> Self {
        let client = client();
        let base = format!("http://{web}");
        let fields = [("email", PEOPLE[1]), ("password", PASSWORD), ("next", "/")];
        let cookie = log_in(&client, &base, &fields).await;
        let base = format!("{base}/farms/{farm}");
        Self {
            place: "hub",
            client,
            base,
            cookie,
            file,
        }
    }

    /// Sends a form; `None` when nobody knows whether it was taken.
    async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Option<()> {
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .form(fields);
        let answer = request.header("cookie", &self.cookie).send().await.ok()?;
        let status = answer.status();
        assert!(
            status == StatusCode::SEE_OTHER || status.is_server_error(),
            "{path}: {status} {}",
            answer.text().await.unwrap_or_default()
        );
        (status == StatusCode::SEE_OTHER).then_some(())
    }

    /// A page in English.
    pub(crate) async fn page(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base));
        let request = request.header("cookie", format!("{}; lang=en", self.cookie));
        request.send().await.unwrap().text().await.unwrap()
    }

    /// The first row of a query of this place's file: an identity, and a number beside it.
    fn find(&self, sql: &str) -> Option<(Vec<u8>, i64)> {
        look_up(&self.file, sql)
    }
}

fn look_up(file: &Path, sql: &str) -> Option<(Vec<u8>, i64)> {
    let conn = store::open(file);
    conn.query_row(sql, [], |row| {
        Ok((row.get(0)?, row.get(1).unwrap_or_default()))
    })
    .ok()
}

fn client() -> Client {
    let client = Client::builder().redirect(Policy::none()).timeout(PATIENCE);
    client.build().unwrap()
}

/// Logs in, as soon as the program is there.
async fn log_in(client: &Client, base: &str, fields: &[(&str, &str)]) -> String {
    let answer = until_async("the log-in", TOLD.as_secs(), async || {
        let request = client.post(format!("{base}/login")).form(fields);
        request.send().await.ok()
    });
    let answer = answer.await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

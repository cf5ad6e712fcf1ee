//! `sync.latency`: from a change on the appliance to the event at a manager's page of the hub, over a line with 100 ms there and back.
//!
//! The appliance and the hub are their own programs. A milking is told to the appliance's API; the clock starts before that and stops when the hub's
//! stream of events shows the day's milk with it. The manager sits beside the hub: their own line would come on top.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{
    Edge, EdgeOptions, Hub,
    hub::{PASSWORD, PEOPLE},
};
use futures_util::{Stream, StreamExt as _};
use reqwest::{Client, redirect::Policy};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, sleep_until, timeout},
};

use crate::figure::{Figure, Times, note};

/// What the line takes in each direction.
const ONE_WAY: Duration = Duration::from_millis(50);
const CHANGES: u64 = 200;
const DEADLINE: Duration = Duration::from_secs(20);
const COW: &str = "101";

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let times = tokio::runtime::Runtime::new()?.block_on(watch())?;
    note(format_args!(
        "sync.latency: median {:.0} ms, worst {:.0} ms, of {} changes",
        times.quantile_ms(0.5),
        times.quantile_ms(1.0),
        times.len()
    ));
    Ok(vec![
        Figure::new("sync.latency", times.quantile_ms(0.99), "ms, p99").goal(500.0),
    ])
}

async fn watch() -> anyhow::Result<Times> {
    let (hub, farm) = Hub::start();
    let line = slow_line(hub.web).await?;
    let edge = Edge::start(&EdgeOptions::default());
    let code = hub.command(&["farms", "claim", &farm], "");
    edge.command(
        &["enrol", code.trim(), "--hub", &format!("http://{line}")],
        "",
    );
    tell(
        &edge,
        "animals",
        json!({ "number": COW, "sex": "female", "status": "lactating" }),
    )
    .await?;

    let cookie = log_in(&hub).await?;
    let stream = Client::new()
        .get(hub.url(&format!("/farms/{farm}/live?topics=today")))
        .header("cookie", format!("{cookie}; lang=en"))
        .header("accept-language", "en")
        .send()
        .await?
        .error_for_status()?;
    let mut screen = Screen {
        chunks: stream.bytes_stream(),
        text: String::new(),
    };
    // The first one finds out how the two stand.
    milk(&edge, 1).await?;
    screen.shows(1).await?;
    let mut times = Times::default();
    for litres in 2..=CHANGES + 1 {
        // Farms change at any moment of an exchange.
        sleep(Duration::from_millis(litres * 37 % 400)).await;
        let began = Instant::now();
        milk(&edge, litres).await?;
        times.add(screen.shows(litres).await? - began);
    }
    Ok(times)
}

/// Milks a litre more.
async fn milk(edge: &Edge, number: u64) -> anyhow::Result<()> {
    let now = jiff::Timestamp::now().as_millisecond();
    let today = jiff::Timestamp::now().in_tz("Asia/Dhaka")?.date();
    let start = now - 1_200_000 + i64::try_from(number)? * 1_000;
    let visit = json!({
        "animal": COW, "session": { "date": today.to_string(), "number": 1 },
        "start": start, "end": start + 500, "yield_ml": 1_000,
    });
    tell(edge, "milkings", visit).await
}

async fn tell(edge: &Edge, what: &str, item: serde_json::Value) -> anyhow::Result<()> {
    let answer = Client::new()
        .post(edge.url(&format!("/api/v1/{what}")))
        .bearer_auth(&edge.token)
        .json(&json!({ "items": [item] }))
        .send()
        .await?;
    let status = answer.status();
    let text = answer.text().await?;
    ensure!(
        status.is_success() && !text.contains("\"outcome\":\"rejected\""),
        "{what} were answered with {status}: {text}"
    );
    Ok(())
}

/// Logs the farm's manager in at the hub; gives the session's cookie.
async fn log_in(hub: &Hub) -> anyhow::Result<String> {
    let answer = Client::builder()
        .redirect(Policy::none())
        .build()?
        .post(hub.url("/login"))
        .form(&[("email", PEOPLE[1]), ("password", PASSWORD), ("next", "/")])
        .send()
        .await?;
    let cookie = answer
        .headers()
        .get("set-cookie")
        .and_then(|value| value.to_str().ok()?.split(';').next());
    Ok(cookie.context("the log-in set no cookie")?.to_owned())
}

/// A manager's page, as its stream of events keeps it.
struct Screen<S> {
    chunks: S,
    text: String,
}

impl<S, B> Screen<S>
where
    S: Stream<Item = reqwest::Result<B>> + Unpin,
    B: AsRef<[u8]>,
{
    /// When it showed so many litres of today.
    async fn shows(&mut self, litres: u64) -> anyhow::Result<Instant> {
        loop {
            let chunk = timeout(DEADLINE, self.chunks.next())
                .await
                .with_context(|| format!("litre {litres} was not shown in time"))?
                .context("the stream ended")??;
            let now = Instant::now();
            self.text.push_str(&String::from_utf8_lossy(chunk.as_ref()));
            let mut shown = None;
            while let Some(end) = self.text.find("\n\n") {
                shown = milk_of_today(&self.text[..end]).or(shown);
                self.text.drain(..end + 2);
            }
            if shown.is_some_and(|shown| shown >= litres) {
                return Ok(now);
            }
        }
    }
}

/// The first figure of the day's figures, in whole litres, if the event is theirs.
fn milk_of_today(event: &str) -> Option<u64> {
    let (_, figures) = event.split_once("id=\"today-figures\"")?;
    let number = figures.split('>').skip(1).find_map(|piece| {
        let text = piece.split('<').next()?.trim();
        text.starts_with(|c: char| c.is_ascii_digit())
            .then_some(text)
    })?;
    number.replace(',', "").split('.').next()?.parse().ok()
}

/// A line to `far` on which every byte takes [`ONE_WAY`], and a new connection the time of its handshake.
async fn slow_line(far: SocketAddr) -> anyhow::Result<SocketAddr> {
    let door = TcpListener::bind("127.0.0.1:0").await?;
    let near = door.local_addr()?;
    tokio::spawn(async move {
        while let Ok((caller, _)) = door.accept().await {
            tokio::spawn(async move {
                sleep(2 * ONE_WAY).await;
                let called = TcpStream::connect(far).await?;
                caller.set_nodelay(true)?;
                called.set_nodelay(true)?;
                let (from_caller, to_caller) = caller.into_split();
                let (from_called, to_called) = called.into_split();
                tokio::join!(late(from_caller, to_called), late(from_called, to_caller));
                std::io::Result::Ok(())
            });
        }
    });
    Ok(near)
}

/// Passes on what comes, each piece as late as the line is long.
async fn late(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf) {
    let (under_way, mut arriving) = mpsc::channel(1_024);
    let leave = async move {
        let mut piece = vec![0; 16 * 1_024];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let due = tokio::time::Instant::now() + ONE_WAY;
            if under_way.send((due, piece[..n].to_vec())).await.is_err() {
                return;
            }
        }
    };
    let arrive = async move {
        while let Some((due, piece)) = arriving.recv().await {
            sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(leave, arrive);
}

#[cfg(test)]
mod tests {
    use super::milk_of_today;

    #[test]
    fn the_days_milk_is_read_from_its_event() {
        let event = "id: 7\nevent: fragment\ndata: <div id=\"today-figures\"><div><p>Milk today</p><b>1,204.0</b> L</div></div>";
        assert_eq!(milk_of_today(event), Some(1_204));
        assert_eq!(milk_of_today("event: beat\ndata: 1"), None);
    }
}

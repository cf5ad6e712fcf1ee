//! `edge.wire_to_screen`: from the last byte of a meter's answer to the event at a phone that looks at the parlour.
//!
//! Eight meters of a Modbus TCP server of our own change their flow at each poll. The server notes when it has written an
//! answer; a subscriber who logged in notes when the stall's new flow arrives as a server-sent event. Both are in this
//! process, so one clock serves both.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use e2e::{Edge, EdgeOptions, edge::WORKER};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    figure::{Figure, Times, note},
    http::log_in,
};

const STALLS: u8 = 8;
const POLL_MS: u32 = 500;
const LASTS: Duration = Duration::from_secs(30);
/// Flows that a stall's meter goes through: tenths of a litre per minute, from 1.0 to 5.9.
const FLOWS: u16 = 50;

/// When each stall's flow last left the meter, by stall and tenths of a litre per minute.
type Sent = Arc<Mutex<HashMap<(u8, u16), Instant>>>;

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let edge = Edge::start(&EdgeOptions::default());
    let times = tokio::runtime::Runtime::new()?.block_on(watch(&edge))?;
    note(format_args!(
        "edge.wire_to_screen: median {:.1} ms, worst {:.1} ms, of {} changes",
        times.quantile_ms(0.5),
        times.quantile_ms(1.0),
        times.len()
    ));
    Ok(vec![
        Figure::new("edge.wire_to_screen", times.quantile_ms(0.99), "ms, p99").goal(50.0),
    ])
}

async fn watch(edge: &Edge) -> anyhow::Result<Times> {
    let sent = Sent::default();
    let server = TcpListener::bind("127.0.0.1:0").await?;
    let meters = server.local_addr()?;
    tokio::spawn(serve(server, Arc::clone(&sent)));
    let cookie = log_in(&edge.url(""), WORKER).await?;
    let stream = reqwest::Client::new()
        .get(edge.url("/live?topics=parlour"))
        .header("cookie", format!("{cookie}; lang=en"))
        .send()
        .await?
        .error_for_status()?;
    provision(edge, meters).await?;

    let mut times = Times::default();
    let mut chunks = stream.bytes_stream();
    let mut event = String::new();
    let end = Instant::now() + LASTS;
    while Instant::now() < end {
        let chunk = tokio::time::timeout(Duration::from_secs(15), chunks.next())
            .await
            .context("no event for 15 s")?
            .context("the stream ended")??;
        let now = Instant::now();
        event.push_str(&String::from_utf8_lossy(&chunk));
        while let Some(end) = event.find("\n\n") {
            if let Some(shown) = shown(&event[..end]) {
                let left = sent
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&shown);
                left.into_iter().for_each(|left| times.add(now - left));
            }
            event.drain(..end + 2);
        }
    }
    ensure!(times.len() >= 200, "only {} changes were seen", times.len());
    Ok(times)
}

/// Stall and flow in tenths of a litre per minute, if the event is a stall's.
fn shown(event: &str) -> Option<(u8, u16)> {
    let (_, rest) = event.split_once("id=\"stall-")?;
    let stall = rest.split('"').next()?.parse().ok()?;
    let (before, _) = rest.split_once(" L/min")?;
    let flow = before.rsplit('>').next()?.replace('.', "").parse().ok()?;
    Some((stall, flow))
}

async fn provision(edge: &Edge, meters: SocketAddr) -> anyhow::Result<()> {
    let field = |quantity: &str, address: u16| json!({ "quantity": quantity, "function": "holding_registers", "address": address, "type": "u16", "scale": 0.1 });
    let stall =
        |n: u8| json!({ "kind": "stall", "slug": n.to_string(), "name": format!("stall {n}") });
    let meter = |n: u8| {
        json!({
            "slug": format!("stall-{n}-meter"),
            "name": format!("meter {n}"),
            "kind": "milk_meter",
            "place": { "kind": "stall", "slug": n.to_string() },
            "link": {
                "transport": "modbus_tcp",
                "host": meters.ip().to_string(),
                "port": meters.port(),
                "unit": n,
                "map": { "poll_ms": POLL_MS, "fields": [field("milk_flow", 0), field("visit_yield", 1)] },
            },
        })
    };
    let stalls: Vec<Value> = (1..=STALLS).map(stall).collect();
    let devices: Vec<Value> = (1..=STALLS).map(meter).collect();
    for (what, items) in [("places", stalls), ("devices", devices)] {
        let answer = reqwest::Client::new()
            .post(edge.url(&format!("/api/v1/{what}")))
            .bearer_auth(&edge.token)
            .json(&json!({ "items": items }))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(
            status.is_success() && !text.contains("\"error\""),
            "{what} were answered with {status}: {text}"
        );
    }
    Ok(())
}

async fn serve(server: TcpListener, sent: Sent) -> std::io::Result<()> {
    loop {
        let (stream, _) = server.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream, Arc::clone(&sent)));
    }
}

/// Answers each read of two registers: flow and visit yield in tenths, both greater at each poll.
async fn answer(mut stream: TcpStream, sent: Sent) -> std::io::Result<()> {
    let mut polls = [0u16; STALLS as usize + 1];
    loop {
        let mut request = [0; 12];
        stream.read_exact(&mut request).await?;
        let unit = request[6];
        let Some(polls) = polls.get_mut(usize::from(unit)) else {
            return Err(std::io::ErrorKind::InvalidData.into());
        };
        *polls += 1;
        let flow = 10 + *polls % FLOWS;
        let mut answer = vec![request[0], request[1], 0, 0, 0, 7, unit, 3, 4];
        answer.extend(flow.to_be_bytes());
        answer.extend((*polls / 10).to_be_bytes());
        // Noted before the write, so that nothing is left out of the time.
        sent.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((unit, flow), Instant::now());
        stream.write_all(&answer).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stalls_event_says_stall_and_flow() {
        let event =
            "id: 7\nevent: fragment\ndata: <li id=\"stall-3\"><p><span>2.4 L/min</span></p></li>";
        assert_eq!(shown(event), Some((3, 24)));
        assert_eq!(shown("event: beat\ndata: 1"), None);
    }
}

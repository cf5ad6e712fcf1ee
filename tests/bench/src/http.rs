//! What a browser asks of the appliance, byte by byte: a log-in, and answers as they go over the wire.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, ensure};
use reqwest::redirect::Policy;

/// An answer as it came over the wire.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Head and body, in bytes.
    pub(crate) fn on_the_wire(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

/// Asks for `path` on a connection of its own, with these header lines besides.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n")
            .as_bytes(),
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let end = bytes
        .windows(4)
        .position(|w| w == b"\r\n\r\n")
        .ok_or(std::io::ErrorKind::UnexpectedEof)?
        + 4;
    let body = bytes.split_off(end);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or(std::io::ErrorKind::InvalidData)?;
    Ok(Answer { status, head, body })
}

/// Logs in as a person does, with name and PIN on the log-in page; gives the session's cookie.
pub(crate) async fn log_in(base: &str, who: (&str, &str)) -> anyhow::Result<String> {
    let client = reqwest::Client::builder()
        .redirect(Policy::none())
        .build()?;
    let page = client
        .get(format!("{base}/login"))
        .send()
        .await?
        .text()
        .await?;
    let before = page.split(who.0).next().context("the page names nobody")?;
    let id = before
        .rsplit("/login?who=")
        .next()
        .and_then(|rest| rest.get(..36))
        .with_context(|| format!("{} is not on the log-in page", who.0))?;
    let answer = client
        .post(format!("{base}/login"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("who={id}&pin={}&next=%2Fparlour", who.1))
        .send()
        .await?;
    let cookie = answer
        .headers()
        .get("set-cookie")
        .and_then(|value| value.to_str().ok()?.split(';').next())
        .map(str::to_owned);
    ensure!(
        answer.status().is_redirection(),
        "the log-in was answered with {}",
        answer.status()
    );
    cookie.context("the log-in set no cookie")
}

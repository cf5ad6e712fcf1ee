//! `edge.ingest.mqtt`: QoS 1 publishes acknowledged per second by the running appliance, over real sockets.
//!
//! Eight clients keep a hundred publishes each in flight. The appliance acknowledges when a reading is on disk: it is killed at
//! the end, and what it acknowledged is counted in its file. The peer, mosquitto, acknowledges from memory.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use e2e::{Edge, EdgeOptions};
use rusqlite::Connection;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::figure::{Figure, scratch};

const CLIENTS: usize = 8;
const WINDOW: usize = 100;
const LASTS: Duration = Duration::from_secs(8);

pub(crate) fn measure() -> anyhow::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Runtime::new()?;
    let mut edge = Edge::start(&EdgeOptions::default());
    let (ours, told) = runtime.block_on(acknowledged(edge.mqtt))?;
    edge.kill();
    let kept = kept(&edge.database())?;
    ensure!(kept >= told, "{told} were acknowledged, {kept} are on disk");
    let mosquitto = Mosquitto::start()?;
    let (peer, _) = runtime.block_on(acknowledged(mosquitto.address))?;
    Ok(vec![
        Figure::new("edge.ingest.mqtt", ours, "publishes/s").peer("mosquitto, in memory", peer),
    ])
}

/// Readings in the appliance's file.
fn kept(database: &Path) -> anyhow::Result<usize> {
    let conn = Connection::open(database)?;
    let sql = "SELECT (SELECT count(*) FROM reading) + (SELECT count(*) FROM reading_log)";
    Ok(conn.query_row(sql, [], |row| row.get::<_, i64>(0))? as usize)
}

/// Publishes acknowledged by the broker at `address`: per second, and in all.
async fn acknowledged(address: SocketAddr) -> anyhow::Result<(f64, usize)> {
    let started = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| tokio::spawn(publish(address, n, started + LASTS)))
        .collect();
    let mut sum = 0;
    for client in clients {
        sum += client.await??;
    }
    Ok((sum as f64 / started.elapsed().as_secs_f64(), sum))
}

/// Publishes until `end`, then waits for what is still in flight; returns how many were acknowledged.
async fn publish(address: SocketAddr, client: usize, end: Instant) -> anyhow::Result<usize> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream
        .write_all(&connect(&format!("bench-{client}")))
        .await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    ensure!(
        answer == [0x20, 2, 0, 0],
        "the broker refused: {answer:02x?}"
    );

    let topic = format!("farm/environment/room-{client}/temp");
    let (mut sent, mut acknowledged) = (0, 0);
    let mut out = Vec::new();
    let mut buffer = vec![0; 4096];
    let mut held = 0;
    loop {
        if Instant::now() < end {
            out.clear();
            while sent - acknowledged < WINDOW {
                sent += 1;
                packet(&mut out, &topic, id_of(sent), sent);
            }
            stream.write_all(&out).await?;
        } else if sent == acknowledged {
            return Ok(acknowledged);
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut buffer[held..]))
            .await
            .context("no acknowledgement for 10 s")??;
        ensure!(read > 0, "the broker closed the connection");
        held += read;
        let whole = held - held % 4;
        for ack in buffer[..whole].chunks_exact(4) {
            ensure!(ack[..2] == [0x40, 2], "not an acknowledgement: {ack:02x?}");
            acknowledged += 1;
        }
        buffer.copy_within(whole..held, 0);
        held -= whole;
    }
}

/// Packet identifiers are 1 to 65,535.
fn id_of(n: usize) -> u16 {
    (n % 65_535) as u16 + 1
}

fn connect(client: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60];
    text(&mut body, client);
    let mut packet = vec![0x10, body.len() as u8];
    packet.append(&mut body);
    packet
}

fn packet(out: &mut Vec<u8>, topic: &str, id: u16, n: usize) {
    let mut body = Vec::with_capacity(64);
    text(&mut body, topic);
    body.extend(id.to_be_bytes());
    // Writing into a vector cannot fail.
    let _ = write!(
        body,
        r#"{{"value": {:.2}}}"#,
        15.0 + (n % 2000) as f64 / 100.0
    );
    out.extend([0x32, body.len() as u8]);
    out.append(&mut body);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Debian's mosquitto as a child process; killed when dropped.
struct Mosquitto {
    address: SocketAddr,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Mosquitto {
    fn start() -> anyhow::Result<Self> {
        let dir = scratch()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = dir.path().join("mosquitto.conf");
        std::fs::write(
            &config,
            format!(
                "listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 0\nuser root\n",
                address.port()
            ),
        )?;
        let child = Command::new("/usr/sbin/mosquitto")
            .arg("-c")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("/usr/sbin/mosquitto (Debian's mosquitto)")?;
        let started = Self {
            address,
            child,
            _dir: dir,
        };
        e2e::until("mosquitto to listen", 10, || {
            std::net::TcpStream::connect(address).ok()
        });
        Ok(started)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

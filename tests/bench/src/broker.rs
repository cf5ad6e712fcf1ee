//! MQTT clients made of bytes, and Debian's mosquitto to try them on: what a figure of the door does to both.
//!
//! A client costs this program as little as it can, because it runs on the same processors as what is measured.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// Longest that a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Clients that publish as fast as they are acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    /// Publishes that each keeps in flight.
    pub(crate) window: usize,
    pub(crate) lasts: Duration,
}

/// What came of a [`Load`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) per_second: f64,
    pub(crate) in_all: usize,
}

impl Load {
    /// Puts it on the broker at `address`.
    pub(crate) async fn run(self, address: SocketAddr) -> anyhow::Result<Acknowledged> {
        let started = Instant::now();
        let clients: Vec<_> = (0..self.clients)
            .map(|n| tokio::spawn(self.client(address, n, started + self.lasts)))
            .collect();
        let mut in_all = 0;
        for client in clients {
            in_all += client.await??;
        }
        Ok(Acknowledged {
            per_second: in_all as f64 / started.elapsed().as_secs_f64(),
            in_all,
        })
    }

    /// Publishes until `end`, then waits for what is still in flight; returns how many were acknowledged.
    async fn client(self, address: SocketAddr, n: usize, end: Instant) -> anyhow::Result<usize> {
        let (mut reader, mut writer) = dial(address, &format!("bench-{n}")).await?;
        let topic = format!("farm/environment/room-{n}/temp");
        let (mut sent, mut acknowledged) = (0, 0);
        let mut out = Vec::new();
        let mut acks = Acks::default();
        loop {
            if Instant::now() < end {
                out.clear();
                while sent - acknowledged < self.window {
                    sent += 1;
                    publish(&mut out, &topic, sent, &reading(sent));
                }
                writer.write_all(&out).await?;
            } else if sent == acknowledged {
                return Ok(acknowledged);
            }
            acknowledged += acks.read(&mut reader).await?;
        }
    }
}

/// A reading as a node tells it.
pub(crate) fn reading(n: usize) -> String {
    format!(r#"{{"value": {:.2}}}"#, 15.0 + (n % 2000) as f64 / 100.0)
}

/// Connects, and logs in without a name.
pub(crate) async fn dial(
    address: SocketAddr,
    client: &str,
) -> anyhow::Result<(OwnedReadHalf, OwnedWriteHalf)> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&connect(client)).await?;
    let mut answer = [0; 4];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .context("no CONNACK")??;
    ensure!(
        answer == [0x20, 2, 0, 0],
        "the broker refused: {answer:02x?}"
    );
    Ok(stream.into_split())
}

/// Reads acknowledgements, which are four bytes each.
#[derive(Default)]
pub(crate) struct Acks {
    held: Vec<u8>,
}

impl Acks {
    /// Waits for some; returns how many came.
    pub(crate) async fn read(&mut self, reader: &mut OwnedReadHalf) -> anyhow::Result<usize> {
        self.held.reserve(4096);
        let read = tokio::time::timeout(PATIENCE, reader.read_buf(&mut self.held))
            .await
            .context("no acknowledgement for 10 s")??;
        ensure!(read > 0, "the broker closed the connection");
        let whole = self.held.len() - self.held.len() % 4;
        for ack in self.held[..whole].chunks_exact(4) {
            ensure!(ack[..2] == [0x40, 2], "not an acknowledgement: {ack:02x?}");
        }
        self.held.drain(..whole);
        Ok(whole / 4)
    }
}

/// A CONNECT of MQTT 3.1.1 with a clean session.
pub(crate) fn connect(client: &str) -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 2, 0x58];
    text(&mut body, client);
    let mut packet = vec![0x10, body.len() as u8];
    packet.append(&mut body);
    packet
}

/// The `n`th PUBLISH of a client, at QoS 1.
pub(crate) fn publish(out: &mut Vec<u8>, topic: &str, n: usize, payload: &str) {
    let length = topic.len() + payload.len() + 4;
    debug_assert!(length < 128, "one byte of length");
    out.extend([0x32, length as u8]);
    text(out, topic);
    // Packet identifiers are 1 to 65,535.
    out.extend(((n % 65_535) as u16 + 1).to_be_bytes());
    out.extend(payload.as_bytes());
}

/// A SUBSCRIBE to one filter at QoS 1.
pub(crate) fn subscribe(filter: &str) -> Vec<u8> {
    let mut packet = vec![0x82, (filter.len() + 5) as u8, 0, 1];
    text(&mut packet, filter);
    packet.push(1);
    packet
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// Debian's mosquitto as a child process; killed when dropped.
pub(crate) struct Mosquitto {
    pub(crate) address: SocketAddr,
    config: PathBuf,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Mosquitto {
    pub(crate) fn start() -> anyhow::Result<Self> {
        Self::start_with("max_inflight_messages 0\n", None)
    }

    /// With more lines of configuration, and rules of access on top of letting everybody do everything.
    pub(crate) fn start_with(more: &str, rules: Option<&str>) -> anyhow::Result<Self> {
        let dir = crate::figure::scratch()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let config = dir.path().join("mosquitto.conf");
        let mut file = std::fs::File::create(&config)?;
        writeln!(file, "listener {} 127.0.0.1", address.port())?;
        writeln!(file, "allow_anonymous true\nset_tcp_nodelay true")?;
        writeln!(file, "{more}user root")?;
        if let Some(rules) = rules {
            let list = dir.path().join("acl");
            std::fs::write(&list, format!("topic readwrite #\n{rules}\n"))?;
            writeln!(file, "acl_file {}", list.display())?;
        }
        let child = run(&config)?;
        let mut started = Self {
            address,
            config,
            child,
            _dir: dir,
        };
        started.wait();
        Ok(started)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it and starts it again, without waiting for it.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = run(&self.config)?;
        Ok(())
    }

    fn wait(&mut self) {
        let address = self.address;
        e2e::until("mosquitto to listen", 10, || {
            std::net::TcpStream::connect(address).ok()
        });
    }
}

fn run(config: &std::path::Path) -> anyhow::Result<Child> {
    Command::new("/usr/sbin/mosquitto")
        .arg("-c")
        .arg(config)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("/usr/sbin/mosquitto (Debian's mosquitto)")
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

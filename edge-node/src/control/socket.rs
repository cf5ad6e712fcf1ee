//! The socket between the command line and the running appliance.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream as Blocking},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{
    Outcome, Ruled,
    orders::{self, Order},
};

/// Longest order: a list of every device of a large farm.
const MAX_ORDER: u64 = 8 * 1024 * 1024;
/// How long an order may take, its reading included.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long to wait when the system has no descriptor for one more connection.
const BREATH: Duration = Duration::from_millis(100);

fn path(dir: &Path) -> PathBuf {
    dir.join("control.sock")
}

/// Where orders come in. Dropping it takes the socket away.
pub(crate) struct Desk {
    listener: UnixListener,
    path: PathBuf,
}

impl Desk {
    /// Opens it in the data folder `dir`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn open(dir: &Path) -> std::io::Result<Self> {
        let path = path(dir);
        // Nobody else has the folder: what is there was left by a process that died.
        if path.exists() {
            std::fs::remove_file(&path)?;
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket for orders stays where it is");
        }
    }
}

/// Takes orders, one after the other, until `stop`.
pub(crate) async fn serve(desk: Arc<Desk>, ruled: Ruled, stop: CancellationToken) {
    while let Some(taken) = stop.run_until_cancelled(desk.listener.accept()).await {
        let stream = match taken {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "an order of the command line cannot be taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        if !is_own(&stream) {
            tracing::warn!("another user of this machine tried to give orders and was not heard");
            continue;
        }
        if timeout(PATIENCE, answer(stream, &ruled)).await.is_err() {
            tracing::warn!("an order of the command line took too long");
        }
    }
}

/// Whether the other end is this user or root.
fn is_own(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream
        .peer_cred()
        .is_ok_and(|peer| may_order(peer.uid(), own))
}

/// Whether the user `peer` may give orders to an appliance that runs as `own`.
fn may_order(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

async fn answer(stream: UnixStream, ruled: &Ruled) {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = AsyncReader::new(reader.take(MAX_ORDER));
    if reader.read_until(b'\n', &mut line).await.is_err() {
        return;
    }
    let outcome: Result<Outcome, String> = match serde_json::from_slice::<Order>(&line) {
        Ok(order) => orders::perform(ruled, order).await,
        Err(_) => Err(
            "the running appliance does not know this order: it is of another version; restart it"
                .to_owned(),
        ),
    };
    let mut line = serde_json::to_vec(&outcome).expect("an outcome is plain data");
    line.push(b'\n');
    // Whoever went away is not told; the order stands.
    let _ = writer.write_all(&line).await;
}

/// Hands an order to the running appliance, and waits for what it comes to. Blocks.
///
/// # Errors
/// When the appliance is not reached, or refuses.
pub(super) fn send(dir: &Path, order: &Order) -> anyhow::Result<Outcome> {
    let path = path(dir);
    let mut stream = Blocking::connect(&path).with_context(|| {
        format!(
            "the running appliance takes no orders at {}: run this as its own user (sudo -u khamar …) or as root",
            path.display()
        )
    })?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let outcome: Result<Outcome, String> = serde_json::from_str(&answer)
        .context("the running appliance gave no answer that is understood: see its log")?;
    outcome.map_err(|text| anyhow!(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_taken_from_the_own_user_and_root_alone() {
        for (peer, own, may) in [
            (1000, 1000, true),
            (0, 1000, true),
            (0, 0, true),
            (1001, 1000, false),
            (1000, 0, false),
            (65_534, 1000, false),
        ] {
            assert_eq!(may_order(peer, own), may, "{peer} to {own}");
        }
    }
}

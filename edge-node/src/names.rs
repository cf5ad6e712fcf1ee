//! The names and addresses under which devices reach this machine, and the certificate that bears them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use edge_ca::Server;
use farm::Farm;
use farm_model::Clock as _;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether an address changed.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// This machine's own names and addresses, and those that the configuration adds.
pub(crate) fn all(configured: &[String]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = configured.iter().cloned().collect();
    names.extend([
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ]);
    let host = rustix::system::uname();
    if let Ok(host) = host.nodename().to_str() {
        let host = host.to_ascii_lowercase();
        let plain = host.split('.').next().unwrap_or_default().to_owned();
        for name in [format!("{plain}.local"), plain, host] {
            if is_host(&name) {
                names.insert(name);
            }
        }
    }
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => names.extend(
            interfaces
                .iter()
                // Those of one cable only change too often to be told to anybody.
                .filter(|interface| !interface.is_link_local())
                .map(|interface| interface.ip().to_string()),
        ),
        Err(error) => {
            tracing::warn!(%error, "this machine's addresses cannot be read; the certificate lacks them");
        }
    }
    names
}

fn is_host(name: &str) -> bool {
    !name.starts_with(['.', '-'])
        && name.len() <= 253
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
}

/// Renews the certificate when an address is new or its end is near, until `stop`.
pub(crate) async fn keep_certificate(
    server: Arc<Server>,
    configured: Vec<String>,
    farm: Farm,
    stop: CancellationToken,
) {
    while stop
        .run_until_cancelled(tokio::time::sleep(LOOK_EVERY))
        .await
        .is_some()
    {
        let (server, configured) = (Arc::clone(&server), configured.clone());
        let now = farm.clock().now().wall;
        let renewed =
            tokio::task::spawn_blocking(move || server.renew(&all(&configured), now)).await;
        match renewed {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, "the certificate of this machine cannot be renewed");
            }
            Err(error) => {
                tracing::error!(%error, "renewing the certificate of this machine panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_own_address_and_what_is_added() {
        let names = all(&["farm.example".to_owned()]);
        for name in ["127.0.0.1", "localhost", "farm.example"] {
            assert!(names.contains(name), "{name}: {names:?}");
        }
    }
}

//! Over TLS: a hub that the appliance trusts, and ones that it does not.

use std::{net::SocketAddr, sync::Arc};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sync::{keys::SecretKey, peer::LineFault};
use sync_http::client::{AskError, Client};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::hub::{File, Running, claim};

/// A door with a certificate of its own before a hub without one.
struct Door {
    address: String,
    certificate: CertificateDer<'static>,
    _stop: DropGuard,
}

async fn door(name: &str, hub: SocketAddr) -> Door {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed([name.to_owned()]).expect("a name is a name");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("it is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks them")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("the key fits");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let port = socket.local_addr().expect("it is bound").port();
    let stop = CancellationToken::new();
    let serve = async move {
        while let Ok((line, _)) = socket.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not trust us ends the handshake: that is what is tested.
                if let Ok(mut near) = acceptor.accept(line).await {
                    let mut far = TcpStream::connect(hub).await.expect("the hub runs");
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                }
            });
        }
    };
    tokio::spawn(stop.clone().run_until_cancelled_owned(serve));
    Door {
        address: format!("https://localhost:{port}"),
        certificate: cert.der().clone(),
        _stop: stop.drop_guard(),
    }
}

async fn enrol(
    running: &Running,
    door: &Door,
    trusts: &[CertificateDer<'_>],
) -> Result<(), AskError> {
    let hub = door.address.parse().expect("it is one");
    let client = Client::new(&hub, trusts).expect("TLS can be set up");
    let key = SecretKey::generate().expect("the system has random bytes");
    let claim = claim(&File::new(), running.hub.code());
    client.enrol(&key, &claim).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_hub_with_a_trusted_certificate_of_its_name_hears_anything() {
    let running = Running::start().await;
    let sound = door("localhost", running.socket).await;
    let trusts = std::slice::from_ref(&sound.certificate);
    enrol(&running, &sound, trusts).await.unwrap();
    assert_eq!(running.hub.holders.lock().unwrap().len(), 1);

    let untrusted = Err(AskError::Line(LineFault::Untrusted));
    assert_eq!(
        enrol(&running, &sound, &[]).await,
        untrusted,
        "nobody vouches for it"
    );
    let other = door("hub.example.org", running.socket).await;
    let its = std::slice::from_ref(&other.certificate);
    assert_eq!(
        enrol(&running, &other, its).await,
        untrusted,
        "it bears another name"
    );
    assert_eq!(enrol(&running, &other, trusts).await, untrusted);
    assert_eq!(running.hub.holders.lock().unwrap().len(), 1);
}

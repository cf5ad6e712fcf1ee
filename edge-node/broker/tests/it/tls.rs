//! MQTT inside TLS: who holds a certificate is known by it, and a handshake keeps nobody waiting.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like tests: at once and with the line"
)]

use std::{net::Ipv4Addr, process::Stdio, sync::Arc, time::Duration};

use edge_broker::{DoorConfig, Reason};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
};
use tokio::{io::AsyncReadExt, io::AsyncWriteExt, net::TcpStream, process::Command};

use crate::support::{House, soon};

/// A small authority, and the configuration of a server that it vouches for.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        // A leaf of the same name would pass for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "farm");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    /// A certificate and its key.
    fn issue(&self) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (certificate, key)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .allow_unauthenticated()
                .build()
                .unwrap();
        let (certificate, key) = self.issue();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Arc::new(config)
    }

    async fn house(&self) -> House {
        House::open_with(DoorConfig {
            tls: vec![(Ipv4Addr::LOCALHOST, 0).into()],
            tls_config: Some(self.server()),
            connect_timeout: Duration::from_secs(2),
            ..DoorConfig::default()
        })
        .await
    }
}

fn mosquitto_pub(house: &House, ca: &std::path::Path) -> Command {
    let mut command = Command::new("mosquitto_pub");
    command
        .args(["-h", "127.0.0.1", "-p"])
        .arg(house.door.addresses().tls[0].port().to_string())
        .args([
            "-t", "farm/x", "-m", "1", "-q", "1", "-u", "user", "--cafile",
        ])
        .arg(ca)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate_or_else_by_its_name() {
    let authority = Authority::new();
    let mut house = authority.house().await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: String| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let ca = file("ca.pem", authority.0.pem());
    let status = mosquitto_pub(&house, &ca).status();
    assert!(soon("mosquitto_pub", status).await.unwrap().success());
    assert_eq!(house.next().await.publish.user.as_deref(), Some("user"));

    for (signer, enters) in [(&authority, true), (&Authority::new(), false)] {
        let (certificate, key) = signer.issue();
        let mut command = mosquitto_pub(&house, &ca);
        command.arg("--cert").arg(file("c.pem", certificate.pem()));
        command.arg("--key").arg(file("k.pem", key.serialize_pem()));
        let status = soon("mosquitto_pub", command.status()).await.unwrap();
        assert_eq!(status.success(), enters);
    }
    assert_eq!(house.next().await.publish.user.as_deref(), Some("holder"));
    assert_eq!(house.refused(Reason::Tls), 1);
}

#[tokio::test]
async fn a_handshake_that_dawdles_keeps_nobody_waiting_and_gives_its_place_back() {
    let authority = Authority::new();
    let house = authority.house().await;
    let address = house.door.addresses().tls[0];
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut wrong = TcpStream::connect(address).await.unwrap();
    wrong.write_all(b"\x10\x0c\x00\x04MQTT").await.unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), authority.0.pem()).unwrap();
    let status = mosquitto_pub(&house, ca.path()).status();
    assert!(soon("mosquitto_pub", status).await.unwrap().success());
    for stream in [&mut silent, &mut wrong] {
        let mut said = Vec::new();
        // A reset is an end too.
        let _ = soon("its end", stream.read_to_end(&mut said)).await;
    }
    house
        .until("no connection", |stats| stats.connections == 0)
        .await;
    assert_eq!(house.refused(Reason::ConnectTimeout), 1);
    assert_eq!(house.refused(Reason::Tls), 1);
}

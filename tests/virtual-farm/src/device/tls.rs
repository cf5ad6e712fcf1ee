//! TLS for clients that do none themselves: a port of this machine whose connections go on to the appliance's door inside TLS,
//! as a radio module does it for its microcontroller. Only the farm's own authority is trusted.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Context;
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, crypto::ring},
};
use tracing::debug;

/// The way into TLS.
pub struct Tunnel {
    listener: TcpListener,
    door: String,
    connector: TlsConnector,
}

impl Tunnel {
    /// A tunnel to `door`, `HOST:PORT`, whose certificate the authority must have signed; `authority` is PEM.
    ///
    /// # Errors
    /// When the text is no certificate, or no port is free.
    pub async fn open(door: &str, authority: &str) -> anyhow::Result<Self> {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(authority.as_bytes());
        roots.add(certificate.context("the authority's certificate is not PEM")?)?;
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            listener: TcpListener::bind(("127.0.0.1", 0)).await?,
            door: door.to_owned(),
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Where it begins.
    ///
    /// # Errors
    /// When the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves one connection after the other, for ever.
    pub async fn run(self) {
        loop {
            let Ok((mut near, _)) = self.listener.accept().await else {
                continue;
            };
            if let Err(error) = self.carry(&mut near).await {
                debug!(%error, "a connection over TLS ended");
            }
        }
    }

    async fn carry(&self, near: &mut TcpStream) -> anyhow::Result<()> {
        let host = self.door.rsplit_once(':').map_or(&*self.door, |(h, _)| h);
        let name = ServerName::try_from(host.to_owned())?;
        let far = TcpStream::connect(&self.door).await?;
        let mut far = self.connector.connect(name, far).await?;
        copy_bidirectional(near, &mut far).await?;
        Ok(())
    }
}

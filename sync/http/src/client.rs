//! The edge's way to the hub: one address, TLS with the system's authorities, and posts with a bound on what comes back.

use std::{error::Error, io, net::IpAddr, sync::Arc, time::Duration};

use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use sync::{
    keys::{Purpose, SecretKey},
    peer::LineFault,
    wire::{self, Claim, MESSAGE_BYTES, Refusal, Welcome, Welcomed, WireError},
};

use crate::{ENROL, EXCHANGE, ROTATE};

/// A handshake over a satellite takes three seconds; a dead line should not take a minute.
const CONNECT_TIME: Duration = Duration::from_secs(15);
/// Routers forget a connection that is silent for longer.
const IDLE_TIME: Duration = Duration::from_secs(90);
/// An enrolment or a change of key is small.
const SMALL_TIME: Duration = Duration::from_secs(60);

/// Where the hub is. Over TLS, except on this very machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubAddress(Url);

/// It is no address of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAddress {
    /// It is no web address.
    #[error("this is no web address: write it as https://hub.example.org")]
    Malformed,
    /// It would go over the line in the clear.
    #[error("the hub must be reached over https: only a hub on this very machine may be http")]
    InTheClear,
}

impl std::str::FromStr for HubAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let mut url = Url::parse(text.trim()).map_err(|_| NotAnAddress::Malformed)?;
        let host = url.host_str().ok_or(NotAnAddress::Malformed)?;
        let here = host == "localhost"
            || host
                .trim_matches(['[', ']'])
                .parse::<IpAddr>()
                .is_ok_and(|ip| ip.is_loopback());
        match url.scheme() {
            "https" => {}
            "http" if here => {}
            "http" => return Err(NotAnAddress::InTheClear),
            _ => return Err(NotAnAddress::Malformed),
        }
        url.set_query(None);
        url.set_fragment(None);
        Ok(Self(url))
    }
}

impl std::fmt::Display for HubAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// The client cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// TLS cannot be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// HTTP cannot be set up.
    #[error("the HTTP client could not be set up")]
    Http(#[source] reqwest::Error),
}

/// Why a hub did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No answer came.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// What came is no answer.
    #[error(transparent)]
    Answer(#[from] WireError),
    /// It will not.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A client for one hub. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    hub: Arc<str>,
}

impl Client {
    /// A client that trusts the system's authorities, and these besides.
    ///
    /// # Errors
    /// When TLS or HTTP cannot be set up.
    pub fn new(hub: &HubAddress, besides: &[CertificateDer<'_>]) -> Result<Self, ClientError> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(besides.iter().cloned().map(CertificateDer::into_owned));
        let tls =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(ClientError::Tls)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        let http = reqwest::Client::builder()
            .use_preconfigured_tls(tls)
            .connect_timeout(CONNECT_TIME)
            .pool_idle_timeout(IDLE_TIME)
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("khamar/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self {
            http,
            hub: hub.to_string().into(),
        })
    }

    /// Posts a sealed exchange; the body of whatever answers.
    ///
    /// # Errors
    /// When no answer came within `patience`.
    pub async fn exchange(&self, body: Vec<u8>, patience: Duration) -> Result<Vec<u8>, LineFault> {
        self.post(EXCHANGE, body, patience).await
    }

    /// Joins the farm that gave out the claim's code, with this key from now on. It may be tried again: a code works once for each key.
    ///
    /// # Errors
    /// When the hub refuses or is not reached.
    pub async fn enrol(&self, key: &SecretKey, claim: &Claim) -> Result<Welcome, AskError> {
        let message = wire::encode(claim, &[])?;
        // A code is good once, and the hub keeps its time: ours does not count.
        self.ask(ENROL, key.seal(Purpose::Enrol, 0, &message)).await
    }

    /// Sends a sealed change of key.
    ///
    /// # Errors
    /// When the hub refuses or is not reached.
    pub async fn rotate(&self, sealed: Vec<u8>) -> Result<(), AskError> {
        self.ask(ROTATE, sealed).await
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, AskError> {
        let answer = self.post(path, body, SMALL_TIME).await?;
        match wire::decode_bare::<Welcomed<T>>(&answer)? {
            Welcomed::Yes(said) => Ok(said),
            Welcomed::Refused(refusal) => Err(refusal.into()),
        }
    }

    async fn post(
        &self,
        path: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<Vec<u8>, LineFault> {
        let sent = self
            .http
            .post(format!("{}{path}", self.hub))
            .header("content-type", "application/octet-stream")
            .timeout(patience)
            .body(body)
            .send()
            .await;
        let mut response = sent.map_err(|error| fault(&error))?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| fault(&error))? {
            answer.extend_from_slice(&chunk);
            // What is longer is none of ours; decoding says so.
            if answer.len() > MESSAGE_BYTES {
                break;
            }
        }
        Ok(answer)
    }
}

fn fault(error: &reqwest::Error) -> LineFault {
    if is_untrusted(error) {
        LineFault::Untrusted
    } else if error.is_timeout() && !error.is_connect() {
        LineFault::Slow
    } else {
        LineFault::Down
    }
}

/// Whether a certificate was the cause. What an `io::Error` wraps is not its source, so both are looked through.
fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref() {
        return true;
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    wrapped.is_some_and(|wrapped| is_untrusted(wrapped)) || error.source().is_some_and(is_untrusted)
}

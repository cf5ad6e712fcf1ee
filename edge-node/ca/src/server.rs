//! The appliance's side of TLS: its certificate, renewed while connections go on, and the check of clients' certificates.
//!
//! TLS 1.2 is spoken beside 1.3 unless the configuration forbids it, because ESP-IDF speaks 1.3 only when it is switched on at
//! build time; of 1.2 rustls has forward-secret, authenticated ciphers alone.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use farm_model::UnixMillis;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject as _},
    server::{
        ClientHello, ResolvesServerCert, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};

use crate::{
    authority::{Authority, CaError, at, damaged, stated},
    files,
    validity::Validity,
};

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeastTls {
    /// TLS 1.2, for small devices.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// The appliance's certificate.
pub struct Server {
    authority: Arc<Authority>,
    provider: Arc<CryptoProvider>,
    held: RwLock<Held>,
}

struct Held {
    names: BTreeSet<String>,
    validity: Validity,
    key: Arc<CertifiedKey>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("names", &self.names())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// The certificate kept in the authority's folder if it still serves, or else a new one. Blocks.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate, or a file cannot be written.
    pub fn open(
        authority: Arc<Authority>,
        names: BTreeSet<String>,
        now: UnixMillis,
    ) -> Result<Self, CaError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let kept = load(&authority, &provider, &names).filter(|held| held.serves(now));
        let held = match kept {
            Some(held) => held,
            None => make(&authority, &provider, names, now)?,
        };
        Ok(Self {
            authority,
            provider,
            held: RwLock::new(held),
        })
    }

    /// Makes a new certificate if this one lacks a name or its end is near; says whether it did. New connections are shown the
    /// new one. Blocks.
    ///
    /// # Errors
    /// As [`Server::open`]; the old one stays.
    pub fn renew(&self, names: &BTreeSet<String>, now: UnixMillis) -> Result<bool, CaError> {
        {
            let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
            if held.names == *names && held.serves(now) {
                return Ok(false);
            }
        }
        let held = make(&self.authority, &self.provider, names.clone(), now)?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = held;
        Ok(true)
    }

    /// The names and addresses that it is for.
    pub fn names(&self) -> BTreeSet<String> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.names.clone()
    }

    /// How a door speaks TLS: with this certificate, and with client certificates of this authority for those who have one.
    ///
    /// # Errors
    /// When TLS cannot use the authority's certificate; a defect of the program.
    pub fn config(self: &Arc<Self>, least: LeastTls) -> Result<ServerConfig, CaError> {
        let verifier = AnyTime::new(&self.authority, &self.provider)?;
        let versions: &[_] = match least {
            LeastTls::V1_2 => &[&TLS13, &TLS12],
            LeastTls::V1_3 => &[&TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        Ok(config)
    }
}

impl Held {
    fn serves(&self, now: UnixMillis) -> bool {
        !self.validity.wants_renewal(now)
    }
}

impl ResolvesServerCert for Server {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&held.key))
    }
}

/// The kept certificate, if it is whole and for these names.
fn load(
    authority: &Authority,
    provider: &CryptoProvider,
    names: &BTreeSet<String>,
) -> Option<Held> {
    let path = authority.dir().join("server.pem");
    let text = files::read(&path).ok()??;
    // The names stand before the certificate, one a line: what follows is the certificate, then its key.
    let (listed, _) = text.split_once("-----BEGIN")?;
    if !listed.lines().map(str::to_owned).eq(names.iter().cloned()) {
        return None;
    }
    let key = certified(&text, provider).ok()?;
    let validity = stated(key.cert.first()?)?;
    Some(Held {
        names: names.clone(),
        validity,
        key: Arc::new(key),
    })
}

fn make(
    authority: &Authority,
    provider: &CryptoProvider,
    names: BTreeSet<String>,
    now: UnixMillis,
) -> Result<Held, CaError> {
    let path = authority.dir().join("server.pem");
    let listed: Vec<String> = names.iter().cloned().collect();
    let made = authority.server(&listed, Validity::of_server(now))?;
    let key = made.key.as_deref().unwrap_or_default();
    let text = format!("{}\n{}{key}", listed.join("\n"), made.pem);
    let certified = certified(&text, provider).map_err(|_| damaged(&path))?;
    files::write(&path, &text).map_err(at(&path))?;
    tracing::info!(names = ?listed, "the appliance has a new certificate");
    Ok(Held {
        names,
        validity: made.validity,
        key: Arc::new(certified),
    })
}

fn certified(pem: &str, provider: &CryptoProvider) -> Result<CertifiedKey, rustls::Error> {
    let broken = |_| rustls::Error::General("not PEM".to_owned());
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(broken)?;
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(broken)?;
    CertifiedKey::from_der(vec![certificate], key, provider)
}

/// Takes certificates that the authority signed, whenever it is: the farm knows which are still good, and whether its clock can
/// be believed. A client without one is taken too, and logs in by name.
#[derive(Debug)]
struct AnyTime(Arc<dyn ClientCertVerifier>);

impl AnyTime {
    fn new(authority: &Authority, provider: &Arc<CryptoProvider>) -> Result<Self, CaError> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
                .allow_unauthenticated()
                .build()
                .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self(verifier))
    }
}

impl ClientCertVerifier for AnyTime {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let begin = stated(end_entity).map(|validity| validity.not_before.0 / 1000);
        let then = begin
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(now, |seconds| {
                UnixTime::since_unix_epoch(Duration::from_secs(seconds))
            });
        self.0.verify_client_cert(end_entity, intermediates, then)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

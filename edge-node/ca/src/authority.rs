//! Signing: the authority's key and certificate in their folder, and what it makes for others.
//!
//! Keys are ECDSA P-256, which small devices compute quickly. Of a request only the public key is taken over; what a
//! certificate says is the authority's word alone.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use farm_model::{UnixMillis, hex};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use sha2::{Digest as _, Sha256};

use crate::{files, validity::Validity};

/// Longest certificate request that is read, in bytes.
const MAX_REQUEST: usize = 8 * 1024;
/// Longest name of a device.
const MAX_NAME: usize = 64;

/// Why the authority cannot work.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of it cannot be read or written.
    #[error(
        "the authority's file {path} cannot be used: check its owner and permissions, and the room on the disk"
    )]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of it holds something else.
    #[error(
        "{path} is damaged: restore the folder from a copy; or, if there is none, remove the folder, restart, and give every \
         device a new certificate"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// Not a request, not signed by its own key, or of another kind of key.
    #[error(
        "this is no certificate request of an ECDSA P-256 key: make one with `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256`"
    )]
    BadRequest,
    /// A name that a certificate cannot carry.
    #[error("{0:?} cannot stand in a certificate: use letters, digits, dots and dashes")]
    BadName(String),
    /// Signing failed.
    #[error("signing failed")]
    Signing(#[from] rcgen::Error),
    /// TLS refuses what was made.
    #[error("TLS cannot use the certificate")]
    Tls(#[from] rustls::Error),
}

/// A certificate that was made.
#[derive(Clone)]
pub struct Made {
    /// The certificate, PEM.
    pub pem: String,
    /// SHA-256 of its DER form.
    pub fingerprint: [u8; 32],
    /// Its number, in hexadecimal digits.
    pub serial: String,
    /// From when until when it is good.
    pub validity: Validity,
    /// The private key, PEM, if it was made too.
    pub key: Option<String>,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made")
            .field("serial", &self.serial)
            .field("validity", &self.validity)
            .finish_non_exhaustive()
    }
}

/// The farm's authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    dir: PathBuf,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority in the folder `dir`, or founds it there. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or written, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, CaError> {
        files::private_dir(dir).map_err(at(dir))?;
        let (key_path, path) = (dir.join("authority.key"), dir.join("authority.pem"));
        let key = match files::read(&key_path).map_err(at(&key_path))? {
            Some(text) => KeyPair::from_pem(&text).map_err(|_| damaged(&key_path))?,
            None if path.exists() => return Err(damaged(&key_path)),
            None => {
                let key = fresh_key()?;
                files::write(&key_path, &key.serialize_pem()).map_err(at(&key_path))?;
                key
            }
        };
        let pem = match files::read(&path).map_err(at(&path))? {
            Some(pem) => pem,
            // Never made, or the power went between the two files.
            None => {
                let pem = root(&key).self_signed(&key)?.pem();
                files::write(&path, &pem).map_err(at(&path))?;
                tracing::info!(file = %path.display(), "the farm's authority was founded");
                pem
            }
        };
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| damaged(&path))?;
        if !is_certificate_of(&certificate, &key) {
            return Err(damaged(&path));
        }
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|_| damaged(&path))?;
        Ok(Self {
            issuer,
            certificate,
            pem,
            dir: dir.to_owned(),
        })
    }

    /// Its certificate, PEM: by it a device knows the appliance, and the other way round. No secret.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Its certificate, DER.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes a key and a certificate for the device called `name`. The key is kept nowhere.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate, or signing fails.
    pub fn issue(&self, name: &str, validity: Validity) -> Result<Made, CaError> {
        let key = fresh_key()?;
        let made = self.make(client(name)?, &key, validity)?;
        Ok(Made {
            key: Some(key.serialize_pem()),
            ..made
        })
    }

    /// Makes a certificate for the device called `name`, which made its own key and says so in `request` (PEM or DER).
    ///
    /// # Errors
    /// When it is no request that can be granted, the name cannot stand in a certificate, or signing fails.
    pub fn sign(&self, name: &str, request: &[u8], validity: Validity) -> Result<Made, CaError> {
        if request.len() > MAX_REQUEST {
            return Err(CaError::BadRequest);
        }
        let asked = match std::str::from_utf8(request) {
            Ok(text) if text.trim_start().starts_with("-----") => {
                CertificateSigningRequestParams::from_pem(text)
            }
            _ => CertificateSigningRequestParams::from_der(&request.into()),
        };
        let key = asked.map_err(|_| CaError::BadRequest)?.public_key;
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(CaError::BadRequest);
        }
        self.make(client(name)?, &key, validity)
    }

    /// Makes the appliance's own certificate, for every name and address in `names`.
    pub(crate) fn server(&self, names: &[String], validity: Validity) -> Result<Made, CaError> {
        let mut params = CertificateParams::new(names).map_err(|_| {
            let ascii = |name: &&String| !name.is_ascii();
            CaError::BadName(names.iter().find(ascii).cloned().unwrap_or_default())
        })?;
        params.distinguished_name = named("Khamar");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = fresh_key()?;
        let made = self.make(params, &key, validity)?;
        Ok(Made {
            key: Some(key.serialize_pem()),
            ..made
        })
    }

    fn make(
        &self,
        mut params: CertificateParams,
        key: &impl PublicKeyData,
        validity: Validity,
    ) -> Result<Made, CaError> {
        let mut serial: [u8; 16] = rand::random();
        // A number, and a positive one.
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        validity.write(&mut params);
        let certificate = params.signed_by(key, &self.issuer)?;
        Ok(Made {
            pem: certificate.pem(),
            fingerprint: Sha256::digest(certificate.der()).into(),
            serial: hex::encode(&serial),
            validity,
            key: None,
        })
    }
}

fn fresh_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// What the authority says of itself. Its name tells two farms' authorities apart, in a device's list as in a browser's.
fn root(key: &KeyPair) -> CertificateParams {
    let mark = hex::encode(&Sha256::digest(key.public_key_raw())[..4]);
    let mut params = CertificateParams::default();
    params.distinguished_name = named(&format!("Khamar farm {mark}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Validity::of_authority().write(&mut params);
    params
}

fn client(name: &str) -> Result<CertificateParams, CaError> {
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(CaError::BadName(name.to_owned()));
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = named(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn is_certificate_of(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    x509_parser::parse_x509_certificate(certificate).is_ok_and(|(_, parsed)| {
        parsed.public_key().subject_public_key.data.as_ref() == key.public_key_raw()
    })
}

/// The moments between which a certificate says that it is good.
pub(crate) fn stated(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let millis = |at: x509_parser::time::ASN1Time| UnixMillis(at.timestamp().saturating_mul(1000));
    Some(Validity {
        not_before: millis(parsed.validity().not_before),
        not_after: millis(parsed.validity().not_after),
    })
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> CaError {
    let path = path.to_owned();
    |source| CaError::File { path, source }
}

pub(crate) fn damaged(path: &Path) -> CaError {
    CaError::Damaged {
        path: path.to_owned(),
    }
}

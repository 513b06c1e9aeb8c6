//! The certificates of the certification's cases: for each [`Identity`] a chain and a key, for the
//! broker's name.
//!
//! One run has one PKI. Each identity is made at its first use, because RSA keys take time. There is more than one
//! root, because the kind of root is part of what a case tests:
//!
//! | Root | Identities |
//! | --- | --- |
//! | RSA-2048 | all but the following |
//! | RSA-4096 | [`Identity::Rsa4096`] |
//! | EC P-256 | [`Identity::Ecdsa256`], [`Identity::DeepEc`] |
//!
//! [`Identity::OtherCa`] comes from a further RSA root of the same name, which no board trusts.
//! [`Issued::root`] is the one that a board trusts.
//!
//! All certificates of a run, the roots too, have the same validity period, so that only a board's
//! clock decides whether they are valid.

mod issue;
mod keys;
mod material;
pub(crate) mod run_certificates;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hilrig_core::certify::Identity;
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use issue::Authority;
pub use material::{ClientMaterial, Material, Shown};

use crate::pki::run_certificates::Validity;

/// Why a certificate of a case could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot make {what}: {found}")]
pub struct PkiError {
    /// The certificate or key that was to be made.
    what: &'static str,
    /// The reason.
    found: String,
}

/// The certificates of a run's cases. Any thread may request one; two requests for the same one wait for the same
/// result.
pub struct Pki {
    name: String,
    /// The folder for the input files of the `openssl` program.
    dir: PathBuf,
    not_before: OffsetDateTime,
    not_after: OffsetDateTime,
    rsa_root: Made<Authority>,
    other_root: Made<Authority>,
    large_root: Made<Authority>,
    ec_root: Made<Authority>,
    first: Made<Authority>,
    second: Made<Authority>,
    client_ca: Made<Authority>,
    /// The key of every RSA-2048 leaf: the leaves differ in what is signed, not in the key.
    leaf_key: Made<KeyPair>,
    issued: BTreeMap<Identity, Made<Issued>>,
    client: Made<Issued>,
}

/// A certificate with its chain and its key.
pub struct Issued {
    /// The leaf, and the intermediates above it; not the root.
    chain: Vec<CertificateDer<'static>>,
    key_pem: String,
    root: CertificateDer<'static>,
    name: String,
}

impl Issued {
    /// The leaf, then the intermediates above it; not the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// The leaf.
    pub fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }

    /// SHA-256 of the leaf, as a board pins it.
    pub fn leaf_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.leaf()).into()
    }

    /// The chain as PEM, leaf first.
    pub fn chain_pem(&self) -> String {
        self.chain.iter().map(pem).collect()
    }

    /// The private key as PEM (PKCS #8). A secret.
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The root that a board trusts. It signed the chain, but for [`Identity::OtherCa`].
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The same as PEM.
    pub fn root_pem(&self) -> String {
        pem(&self.root)
    }

    /// The name that the leaf is for: the broker's, but for [`Identity::OtherName`].
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Something that is made once.
struct Made<T>(OnceLock<Result<T, PkiError>>);

impl<T> Default for Made<T> {
    fn default() -> Self {
        Made(OnceLock::new())
    }
}

impl<T> Made<T> {
    fn get(&self, make: impl FnOnce() -> Result<T, PkiError>) -> Result<&T, PkiError> {
        self.0.get_or_init(make).as_ref().map_err(Clone::clone)
    }
}

impl Pki {
    /// The PKI of a run for the broker's DNS name `name`. Makes no certificate yet. `dir` is a folder with access for
    /// this user only ([`RunDir::path`](crate::RunDir::path)); no key is written to it.
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>) -> Pki {
        Pki::lasting(name, dir, std::time::Duration::ZERO)
    }

    /// The same for a run of this length.
    pub fn lasting(
        name: impl Into<String>,
        dir: impl Into<PathBuf>,
        longest: std::time::Duration,
    ) -> Pki {
        // In whole seconds, as in certificates.
        let now =
            OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let validity = Validity::of(now, longest);
        Pki {
            name: name.into(),
            dir: dir.into(),
            not_before: validity.not_before,
            not_after: validity.not_after,
            rsa_root: Made::default(),
            other_root: Made::default(),
            large_root: Made::default(),
            ec_root: Made::default(),
            first: Made::default(),
            second: Made::default(),
            client_ca: Made::default(),
            leaf_key: Made::default(),
            issued: Identity::ALL.iter().map(|identity| (*identity, Made::default())).collect(),
            client: Made::default(),
        }
    }

    /// The broker's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first moment of the validity period.
    pub fn not_before(&self) -> OffsetDateTime {
        self.not_before
    }

    /// The last moment.
    pub fn not_after(&self) -> OffsetDateTime {
        self.not_after
    }

    /// The certificate of an identity. Blocks while it is made: tenths of a second for RSA-2048, a few
    /// seconds for RSA-4096.
    ///
    /// # Errors
    /// If the `openssl` program, which makes the RSA keys, is missing or fails.
    pub fn issued(&self, identity: Identity) -> Result<&Issued, PkiError> {
        // Every identity is in the map: it was made from their list.
        self.issued[&identity].get(|| self.issue(identity))
    }

    /// The intermediate that [`Identity::Intermediate`] is under.
    ///
    /// # Errors
    /// As [`issued`](Pki::issued).
    pub fn first_intermediate(&self) -> Result<&CertificateDer<'static>, PkiError> {
        Ok(self.first()?.der())
    }

    /// The client certificate of a board (EC P-256), which [`client_ca`](Pki::client_ca) signed.
    ///
    /// # Errors
    /// As [`issued`](Pki::issued).
    pub fn client(&self) -> Result<&Issued, PkiError> {
        self.client.get(|| self.issue_client())
    }

    /// The CA that a broker trusts for client certificates.
    ///
    /// # Errors
    /// As [`issued`](Pki::issued).
    pub fn client_ca(&self) -> Result<&CertificateDer<'static>, PkiError> {
        Ok(self.client_authority()?.der())
    }

    /// Makes all of `identities`, on two threads. Blocks; for a thread that runs during the boards' boot.
    ///
    /// # Errors
    /// As [`issued`](Pki::issued); the first one.
    pub fn make(&self, identities: &[Identity]) -> Result<(), PkiError> {
        let (one, two) = identities.split_at(identities.len() / 2);
        let each = |half: &[Identity]| half.iter().try_for_each(|i| self.issued(*i).map(drop));
        std::thread::scope(|scope| {
            let other = scope.spawn(move || each(one));
            each(two)?;
            other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

/// A certificate as PEM (RFC 7468).
pub fn pem(certificate: &CertificateDer<'_>) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    let encoded = STANDARD.encode(certificate);
    for line in encoded.as_bytes().chunks(64) {
        // Base64 is ASCII.
        let _ = writeln!(text, "{}", String::from_utf8_lossy(line));
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

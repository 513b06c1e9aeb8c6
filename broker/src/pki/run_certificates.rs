//! The certificates of a run.
//!
//! Keys are EC P-256 and signatures ECDSA with SHA-256, for the CAs and for the leaves: rcgen on ring makes them in a
//! millisecond, and a BearSSL client with the full profile supports them. (Brokers in the field mostly have RSA-2048,
//! which ring cannot generate; it needs another key source.)
//!
//! A certificate is valid from a day ago, for a board whose clock is slow, to two days after the longest time that
//! the run may take: a key that leaks is soon worth nothing.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use time::{Duration, OffsetDateTime};

use super::Shown;

/// What a board meets at the broker, for records: the lowest TLS version that the listeners accept, and the keys of
/// the certificates.
const PROFILE: &str = "TLS 1.2 or later, EC P-256";

/// The certificates of a run: the CA that boards trust, the broker's leaf, and the leaf
/// of the impostor, which another CA signed.
pub struct Certificates {
    ca: CertificateDer<'static>,
    ca_pem: String,
    leaf: Shown,
    impostor: Shown,
}

impl Certificates {
    /// New certificates for the DNS name `name`, `localhost` and 127.0.0.1.
    ///
    /// # Errors
    /// If `name` is no DNS name, or if the system has no random numbers.
    pub fn new(name: &str) -> Result<Certificates, rcgen::Error> {
        Certificates::lasting(name, std::time::Duration::ZERO)
    }

    /// The same for a run of this length.
    ///
    /// # Errors
    /// As of [`new`](Certificates::new).
    pub fn lasting(name: &str, longest: std::time::Duration) -> Result<Certificates, rcgen::Error> {
        let now = Validity::of(OffsetDateTime::now_utc(), longest);
        let ca = authority(now)?;
        // The other CA has the same subject and differs only in its key, so that only a board that
        // verifies the signature refuses its certificate.
        let other = authority(now)?;
        Ok(Certificates {
            leaf: leaf(name, now, &ca)?,
            impostor: leaf(name, now, &other)?,
            ca_pem: ca.pem(),
            ca: ca.der().clone(),
        })
    }

    /// How the listeners do TLS, for records.
    pub fn profile(&self) -> &'static str {
        PROFILE
    }

    /// The run's CA certificate as PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The run's CA certificate as DER.
    pub fn ca_der(&self) -> &CertificateDer<'static> {
        &self.ca
    }

    /// The broker's.
    pub fn leaf(&self) -> &Shown {
        &self.leaf
    }

    /// The impostor's: same names, but [`ca_pem`](Certificates::ca_pem) did not sign it.
    pub fn impostor(&self) -> &Shown {
        &self.impostor
    }
}

/// A leaf without its CA: a client has that already, and every byte of the chain costs a small board memory.
fn leaf(
    name: &str,
    now: Validity,
    issuer: &CertifiedIssuer<'static, KeyPair>,
) -> Result<Shown, rcgen::Error> {
    let mut params = CertificateParams::new([name.to_owned(), "localhost".to_owned()])?;
    params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    params.distinguished_name = subject(name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    limit(&mut params, now);
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?;
    Ok(Shown {
        chain: vec![certificate.der().clone()],
        key_pem: key.serialize_pem(),
        root_pem: issuer.pem(),
        name: name.to_owned(),
    })
}

fn authority(now: Validity) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name = subject("hilrig CA of one run");
    // It signs leaves only.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    limit(&mut params, now);
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn subject(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "hilrig");
    name.push(DnType::CommonName, common_name);
    name
}

fn limit(params: &mut CertificateParams, validity: Validity) {
    params.not_before = validity.not_before;
    params.not_after = validity.not_after;
}

/// When the certificates of a run are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Validity {
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// The longest run that is supported: no run is longer, and no date leaves the range of a board's clock.
    const LONGEST: Duration = Duration::days(3650);

    /// For a run of this length that begins now.
    pub fn of(now: OffsetDateTime, longest: std::time::Duration) -> Validity {
        let longest =
            Duration::try_from(longest).unwrap_or(Validity::LONGEST).min(Validity::LONGEST);
        // A board's clock may be slow.
        Validity {
            not_before: now - Duration::days(1),
            not_after: now + Duration::days(2) + longest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_outlasts_the_longest_run() {
        let now = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        for days in [0u64, 1, 7, 400] {
            let longest = std::time::Duration::from_secs(days * 86_400);
            assert!(
                Validity::of(now, longest).not_after >= now + longest + Duration::days(1),
                "{days}"
            );
        }
        let _ = Validity::of(now, std::time::Duration::MAX);
    }
}

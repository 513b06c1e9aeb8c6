//! Fetches the certificates of a broker at HOST:PORT, valid or not, and describes them.

use std::net::IpAddr;
use std::sync::Arc;

use hilrig_core::text::printable;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// The certificates that a broker sends, its own first.
pub type Chain = Vec<CertificateDer<'static>>;

/// The CA among these that issued the chain: by signature, else by issuer name, else the first.
pub fn fitting<'a>(
    cas: &'a [CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
) -> &'a CertificateDer<'static> {
    let signed = cas.iter().find(|ca| comes_from(chain, ca));
    let issuers: Vec<&[u8]> = chain.iter().filter_map(|one| names(one).map(|(_, by)| by)).collect();
    let named = |ca: &&CertificateDer<'static>| {
        names(ca).is_some_and(|(subject, _)| issuers.contains(&subject))
    };
    let shown = || cas.iter().find(|ca| chain.contains(ca));
    signed.or_else(shown).or_else(|| cas.iter().find(named)).unwrap_or(&cas[0])
}

/// Whether the chain is signed by this CA, regardless of names and dates.
pub fn comes_from(chain: &[CertificateDer<'static>], ca: &CertificateDer<'static>) -> bool {
    let Some((leaf, others)) = chain.split_first() else { return false };
    let mut roots = RootCertStore::empty();
    if roots.add(ca.clone()).is_err() {
        return false;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    let (Ok(verifier), Ok(name)) = (verifier, ServerName::try_from("hilrig.invalid")) else {
        return false;
    };
    // Dates are not checked here: verify at a time when the certificate is valid.
    let valid = validity(leaf).and_then(|(from, _)| u64::try_from(from).ok());
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(valid.unwrap_or(0)));
    match verifier.verify_server_cert(leaf, others, &name, &[], at) {
        Ok(_) => true,
        Err(Error::InvalidCertificate(error)) => !matches!(
            error,
            CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::BadEncoding
                | CertificateError::Other(_)
        ),
        Err(_) => false,
    }
}

/// First and last second of a certificate's validity, since 1970; `None` if it is not a certificate.
pub fn validity(certificate: &[u8]) -> Option<(i64, i64)> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

/// Subject and issuer, as encoded in the certificate.
fn names<'a>(certificate: &'a CertificateDer<'_>) -> Option<(&'a [u8], &'a [u8])> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some((parsed.tbs_certificate.subject.as_raw(), parsed.tbs_certificate.issuer.as_raw()))
}

/// Human-readable summary of a certificate; printable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// Its DNS names and addresses.
    pub names: Vec<String>,
    /// The common name, if there are no other names.
    pub common_name: Option<String>,
    /// Start and end of validity.
    pub valid: Option<(String, String)>,
}

/// Parses a certificate; empty if it is not one.
pub fn words(certificate: &CertificateDer<'_>) -> Words {
    let clean = |text: String| printable(text.as_bytes());
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return Words::default() };
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    });
    let common_name = parsed.subject().iter_common_name().next();
    let moment = |seconds| OffsetDateTime::from_unix_timestamp(seconds).ok()?.format(&Rfc3339).ok();
    Words {
        subject: clean(parsed.subject().to_string()),
        issuer: clean(parsed.issuer().to_string()),
        names: names.map(clean).collect(),
        common_name: common_name.and_then(|name| Some(clean(name.as_str().ok()?.to_owned()))),
        valid: validity(certificate)
            .and_then(|(from, until)| Some((moment(from)?, moment(until)?))),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

/// Whether the certificate is for this name.
pub fn is_for(certificate: &CertificateDer<'static>, name: &str) -> bool {
    let parsed = rustls::server::ParsedCertificate::try_from(certificate);
    match (parsed, ServerName::try_from(name.to_owned())) {
        (Ok(parsed), Ok(name)) => rustls::client::verify_server_name(&parsed, &name).is_ok(),
        // A certificate that rustls cannot parse (such as version 1) may still be for the name.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use hilrig_broker::Certificates;

    use super::*;

    #[test]
    fn the_ca_that_fits_is_found_among_several_of_one_name() {
        let made = [Certificates::new("a.test").unwrap(), Certificates::new("b.test").unwrap()];
        let cas = [made[0].ca_der().clone(), made[1].ca_der().clone()];
        for (certificates, ca) in made.iter().zip(&cas) {
            let leaf = certificates.leaf().chain[0].clone();
            assert_eq!(fitting(&cas, std::slice::from_ref(&leaf)), ca);
            // A broker that sends the CA itself.
            assert_eq!(fitting(&cas, std::slice::from_ref(ca)), ca);
        }
        assert_eq!(fitting(&cas, &[]), &cas[0]);
        let impostor = made[0].impostor().chain[0].clone();
        assert!(cas.iter().all(|ca| !comes_from(std::slice::from_ref(&impostor), ca)));
    }

    #[test]
    fn the_dates_are_those_that_it_was_made_with() {
        let certificates = Certificates::new("broker.hilrig.test").unwrap();
        let (from, until) = validity(certificates.ca_der()).unwrap();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        // A day before to two days after (broker/src/pki/run_certificates.rs).
        assert!((now - 86_400 - 60..=now - 86_400).contains(&from), "{from} {now}");
        assert_eq!(until - from, 3 * 86_400);
        assert_eq!(validity(b"no certificate"), None);
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let certificates = Certificates::new("broker.hilrig.test").unwrap();
        let whole = certificates.ca_der();
        assert!(!words(whole).subject.is_empty() && words(whole).valid.is_some());
        for at in 0..whole.len() {
            let _ = words(&CertificateDer::from(&whole[..at]));
            let mut wrong = whole.to_vec();
            wrong[at] ^= 0xff;
            let wrong = CertificateDer::from(wrong);
            let _ = (
                words(&wrong),
                fitting(std::slice::from_ref(&wrong), std::slice::from_ref(&wrong)),
            );
        }
    }
}

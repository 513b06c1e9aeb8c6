//! The certificates of the cases, held against OpenSSL's `verify` and against rustls.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, LazyLock};

use hilrig_broker::SERVER_NAME;
use hilrig_broker::pki::{Issued, Pki, pem};
use hilrig_core::certify::Identity;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, Error, RootCertStore};
use time::{Duration, OffsetDateTime};

/// What `openssl verify` says of a chain.
struct Question<'a> {
    anchor: &'a CertificateDer<'static>,
    chain: &'a [CertificateDer<'static>],
    at: OffsetDateTime,
    further: &'a [&'a str],
}

impl Question<'_> {
    fn ask(&self, dir: &Path) -> Result<(), String> {
        let file = |name: &str, text: String| {
            let path = dir.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let output = Command::new("openssl")
            .args(["verify", "-attime", &self.at.unix_timestamp().to_string()])
            .args(self.further)
            .arg("-CAfile")
            .arg(file("anchor.pem", pem(self.anchor)))
            .arg("-untrusted")
            .arg(file("untrusted.pem", self.chain.iter().map(pem).collect()))
            .arg(file("leaf.pem", pem(&self.chain[0])))
            .output()
            .expect("openssl is installed: the PKI is made with it");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// One for all tests, as a run has: RSA keys cost time.
fn pki() -> &'static Pki {
    static PKI: LazyLock<(Pki, tempfile::TempDir)> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        (Pki::new(SERVER_NAME, dir.path()), dir)
    });
    &PKI.0
}

fn by_openssl(pki: &Pki, dir: &Path, identity: Identity) -> Result<(), String> {
    let issued = pki.issued(identity).unwrap();
    Question {
        anchor: issued.root(),
        chain: issued.chain(),
        at: OffsetDateTime::now_utc(),
        further: &["-verify_hostname", SERVER_NAME, "-purpose", "sslserver", "-auth_level", "2"],
    }
    .ask(dir)
}

fn by_rustls(issued: &Issued, name: &str, at: OffsetDateTime) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(issued.root().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(
        at.unix_timestamp().try_into().unwrap(),
    ));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(issued.leaf(), &issued.chain()[1..], &name, &[], at).map(drop)
}

#[test]
fn what_should_verify_does_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki();
    pki.make(Identity::ALL).unwrap();
    let now = OffsetDateTime::now_utc();
    for identity in Identity::ALL {
        let issued = pki.issued(*identity).unwrap();
        let openssl = by_openssl(pki, dir.path(), *identity);
        let rustls = by_rustls(issued, SERVER_NAME, now);
        let refused = |by: &Result<(), String>, word: &str| {
            assert!(by.as_ref().is_err_and(|said| said.contains(word)), "{identity:?}: {by:?}");
        };
        match identity {
            Identity::RsaSha1 => {
                refused(&openssl, "digest algorithm too weak");
                rustls.unwrap_err();
            }
            Identity::OtherCa => {
                refused(&openssl, "unable to get local issuer certificate");
                rustls.unwrap_err();
            }
            Identity::OtherName => {
                refused(&openssl, "hostname mismatch");
                let Err(Error::InvalidCertificate(error)) = rustls else { panic!("{rustls:?}") };
                let named = matches!(error, CertificateError::NotValidForNameContext { .. });
                assert!(named, "{error:?}");
                by_rustls(issued, issued.name(), now).unwrap();
            }
            _ => {
                assert_eq!(openssl, Ok(()), "{identity:?}");
                rustls.unwrap_or_else(|error| panic!("{identity:?}: {error}"));
            }
        }
        // A board keeps one of 2048 bytes at most.
        assert!(issued.root().len() <= 2048, "{identity:?}: {} B of root", issued.root().len());
        let key = issued.key_pem();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{identity:?}");
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().filter(|f| f.as_ref().unwrap().path().is_dir()).count(),
        0
    );
}

#[test]
fn each_is_what_its_name_says() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki();
    let issued = |identity| pki.issued(identity).unwrap();
    let text = |certificate: &CertificateDer<'static>| {
        let path = dir.path().join("shown.pem");
        fs::write(&path, pem(certificate)).unwrap();
        let mut openssl = Command::new("openssl");
        let shown = openssl.args(["x509", "-noout", "-text", "-in"]).arg(&path).output().unwrap();
        String::from_utf8_lossy(&shown.stdout).into_owned()
    };

    let usual = text(issued(Identity::Rsa2048).leaf());
    for part in
        ["Public-Key: (2048 bit)", "sha256WithRSA", SERVER_NAME, "DNS:localhost", "127.0.0.1"]
    {
        assert!(usual.contains(part), "{part} is not in {usual}");
    }
    assert_eq!(issued(Identity::Rsa2048).chain().len(), 1);
    let sha1 = text(issued(Identity::RsaSha1).leaf());
    assert!(sha1.contains("sha1WithRSA") && sha1.contains(SERVER_NAME), "{sha1}");

    let long: usize = issued(Identity::LongChain).chain().iter().map(|c| c.len()).sum();
    assert!((4097..8192).contains(&long), "{long} B");
    assert_eq!(issued(Identity::LongChain).chain().len(), 4);

    let large = issued(Identity::Rsa4096);
    assert_eq!(large.chain().len(), 2);
    for certificate in large.chain().iter().chain([large.root()]) {
        assert!(text(certificate).contains("Public-Key: (4096 bit)"));
    }

    let deep = issued(Identity::DeepEc);
    // The root is the seventh.
    assert_eq!(deep.chain().len(), 6);
    let curves: Vec<bool> = deep.chain().iter().map(|c| text(c).contains("P-384")).collect();
    assert_eq!(curves, [false, true, false, true, false, true]);

    let (one, renewed) = (issued(Identity::Rsa2048), issued(Identity::Renewed));
    assert_eq!(one.key_pem(), renewed.key_pem());
    assert_ne!(one.leaf_sha256(), renewed.leaf_sha256());
    let (old, new) = (issued(Identity::Intermediate), issued(Identity::RotatedIntermediate));
    assert_eq!(old.key_pem(), new.key_pem());
    assert_eq!(old.chain()[1], *pki.first_intermediate().unwrap());
    assert_ne!(old.chain()[1], new.chain()[1]);
    assert_eq!(old.root(), new.root());
    let other = text(issued(Identity::OtherCa).leaf());
    let issuer = |text: &str| text.lines().find(|l| l.contains("Issuer:")).map(str::to_owned);
    assert_eq!(issuer(&other), issuer(&usual), "they differ in the key alone");
}

#[test]
fn the_clock_and_the_first_intermediate_decide() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki();
    let day = Duration::days(1);
    let (from, to) = (pki.not_before(), pki.not_after());
    for (at, valid) in [
        (from - day, false),
        (from, true),
        (to - Duration::seconds(1), true),
        (to + day, false),
        (OffsetDateTime::UNIX_EPOCH, false),
    ] {
        let issued = pki.issued(Identity::Rsa2048).unwrap();
        let openssl = Question { anchor: issued.root(), chain: issued.chain(), at, further: &[] }
            .ask(dir.path());
        assert_eq!(openssl.is_ok(), valid, "{at}: {openssl:?}");
        assert_eq!(by_rustls(issued, SERVER_NAME, at).is_ok(), valid, "{at}");
    }
    let anchor = pki.first_intermediate().unwrap();
    for (identity, trusted) in
        [(Identity::Intermediate, true), (Identity::RotatedIntermediate, false)]
    {
        let chain = pki.issued(identity).unwrap().chain();
        let question =
            Question { anchor, chain, at: OffsetDateTime::now_utc(), further: &["-partial_chain"] };
        assert_eq!(question.ask(dir.path()).is_ok(), trusted, "{identity:?}");
    }
}

#[test]
fn a_boards_certificate_is_for_clients_alone() {
    let dir = tempfile::tempdir().unwrap();
    let pki = pki();
    let (client, anchor) = (pki.client().unwrap(), pki.client_ca().unwrap());
    for (purpose, fits) in [("sslclient", true), ("sslserver", false)] {
        let at = OffsetDateTime::now_utc();
        let question =
            Question { anchor, chain: client.chain(), at, further: &["-purpose", purpose] };
        assert_eq!(question.ask(dir.path()).is_ok(), fits, "{purpose}");
    }
    // What a board takes over HTTP.
    let size = client.chain_pem().len() + client.key_pem().len();
    assert!(size < 2048, "{size} B");
}

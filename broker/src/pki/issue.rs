//! Who signs what.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hilrig_core::certify::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, SanType,
};
use rustls::pki_types::CertificateDer;

use super::{Issued, Made, Pki, PkiError, keys};

/// A CA: its certificate and its key.
pub(super) type Authority = CertifiedIssuer<'static, KeyPair>;

/// The name for [`Identity::OtherName`]. `.test` is reserved (RFC 6761).
const OTHER_NAME: &str = "other.hilrig.test";
/// The extension that makes an intermediate of [`Identity::LongChain`] long: a Netscape comment, which every
/// implementation knows and ignores.
const COMMENT: &[u64] = &[2, 16, 840, 1, 113_730, 1, 13];
/// Length of that comment, bytes.
const COMMENT_LENGTH: usize = 600;

impl Pki {
    pub(super) fn issue(&self, identity: Identity) -> Result<Issued, PkiError> {
        let rsa = || Ok::<_, PkiError>((self.rsa_root()?, self.leaf_key()?));
        match identity {
            // Renewed: rcgen makes the serial number from the key and the clock, in nanoseconds; the
            // number is set all the same, so that nothing depends on that.
            Identity::Rsa2048 | Identity::Renewed | Identity::OtherName => {
                let (root, key) = rsa()?;
                let name = if identity == Identity::OtherName { OTHER_NAME } else { &self.name };
                self.leaf(name, key, &[root], root)
            }
            Identity::RsaSha1 => {
                let (root, key) = rsa()?;
                self.over_sha1(key, root)
            }
            Identity::OtherCa => {
                let (root, key) = rsa()?;
                let other = self.rsa_authority(&self.other_root)?;
                self.leaf(&self.name, key, &[other], root)
            }
            Identity::Intermediate => {
                let (root, key) = rsa()?;
                self.leaf(&self.name, key, &[self.first()?, root], root)
            }
            Identity::RotatedIntermediate => {
                let (root, key) = rsa()?;
                let second = self.second.get(|| {
                    self.authority(
                        "hilrig intermediate, the second",
                        keys::rsa(2048)?,
                        Some(root),
                        0,
                    )
                })?;
                self.leaf(&self.name, key, &[second, root], root)
            }
            Identity::LongChain => {
                let (root, key) = rsa()?;
                let mut above: Vec<Authority> = Vec::new();
                for name in ["long intermediate 1", "long intermediate 2", "long intermediate 3"] {
                    let issuer = above.last().unwrap_or(root);
                    above.push(self.authority(
                        name,
                        keys::rsa(2048)?,
                        Some(issuer),
                        COMMENT_LENGTH,
                    )?);
                }
                let mut above: Vec<&Authority> = above.iter().rev().collect();
                above.push(root);
                self.leaf(&self.name, key, &above, root)
            }
            Identity::Rsa4096 => {
                let root = self.large_root.get(|| {
                    self.authority("hilrig RSA-4096 root of one run", keys::rsa(4096)?, None, 0)
                })?;
                let intermediate =
                    self.authority("RSA-4096 intermediate", keys::rsa(4096)?, Some(root), 0)?;
                let key = keys::rsa(4096)?;
                self.leaf(&self.name, &key, &[&intermediate, root], root)
            }
            Identity::Ecdsa256 => {
                let root = self.ec_root()?;
                self.leaf(&self.name, &p256()?, &[root], root)
            }
            Identity::DeepEc => {
                let root = self.ec_root()?;
                let mut above: Vec<Authority> = Vec::new();
                for (n, name) in ["EC 1", "EC 2", "EC 3", "EC 4", "EC 5"].into_iter().enumerate() {
                    let key = if n % 2 == 0 { p384()? } else { p256()? };
                    let issuer = above.last().unwrap_or(root);
                    above.push(self.authority(name, key, Some(issuer), 0)?);
                }
                let mut above: Vec<&Authority> = above.iter().rev().collect();
                above.push(root);
                self.leaf(&self.name, &p256()?, &above, root)
            }
        }
    }

    pub(super) fn issue_client(&self) -> Result<Issued, PkiError> {
        let ca = self.client_authority()?;
        let mut params = self.params("hilrig board");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = p256()?;
        let certificate = params.signed_by(&key, ca).map_err(fault("the client certificate"))?;
        Ok(Issued {
            chain: vec![certificate.der().clone()],
            key_pem: key.serialize_pem(),
            root: ca.der().clone(),
            name: "hilrig board".into(),
        })
    }

    pub(super) fn first(&self) -> Result<&Authority, PkiError> {
        self.first.get(|| {
            let root = self.rsa_root()?;
            self.authority("hilrig intermediate, the first", keys::rsa(2048)?, Some(root), 0)
        })
    }

    pub(super) fn client_authority(&self) -> Result<&Authority, PkiError> {
        self.client_ca.get(|| self.authority("hilrig CA of the boards", p256()?, None, 0))
    }

    fn rsa_root(&self) -> Result<&Authority, PkiError> {
        self.rsa_authority(&self.rsa_root)
    }

    /// Both RSA roots have the same subject and differ only in their key, so that only a board that verifies the
    /// signature can distinguish them.
    fn rsa_authority<'a>(&self, made: &'a Made<Authority>) -> Result<&'a Authority, PkiError> {
        made.get(|| self.authority("hilrig RSA root of one run", keys::rsa(2048)?, None, 0))
    }

    fn ec_root(&self) -> Result<&Authority, PkiError> {
        self.ec_root.get(|| self.authority("hilrig EC root of one run", p256()?, None, 0))
    }

    fn leaf_key(&self) -> Result<&KeyPair, PkiError> {
        self.leaf_key.get(|| keys::rsa(2048))
    }

    fn authority(
        &self,
        name: &str,
        key: KeyPair,
        issuer: Option<&Authority>,
        comment: usize,
    ) -> Result<Authority, PkiError> {
        let mut params = self.params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        if comment > 0 {
            params.custom_extensions.push(CustomExtension::from_oid_content(COMMENT, ia5(comment)));
        }
        let made = match issuer {
            None => Authority::self_signed(params, key),
            Some(issuer) => {
                params.use_authority_key_identifier_extension = true;
                Authority::signed_by(params, key, issuer)
            }
        };
        made.map_err(fault("a CA"))
    }

    /// A leaf under `above`: its issuer first, and the root last.
    fn leaf(
        &self,
        name: &str,
        key: &KeyPair,
        above: &[&Authority],
        root: &Authority,
    ) -> Result<Issued, PkiError> {
        let mut params = self.leaf_params(name)?;
        params.use_authority_key_identifier_extension = true;
        let certificate =
            params.signed_by(key, above[0]).map_err(fault("a broker's certificate"))?;
        let intermediates = above[..above.len() - 1].iter().map(|ca| ca.der().clone());
        Ok(Issued {
            chain: [certificate.der().clone()].into_iter().chain(intermediates).collect(),
            key_pem: key.serialize_pem(),
            root: root.der().clone(),
            name: name.to_owned(),
        })
    }

    fn leaf_params(&self, name: &str) -> Result<CertificateParams, PkiError> {
        let fault = fault("a broker's certificate");
        let mut params = self.params(name);
        let dns = |name: &str| name.try_into().map(SanType::DnsName);
        params.subject_alt_names = vec![dns(name).map_err(&fault)?];
        if name != OTHER_NAME {
            params.subject_alt_names.push(dns("localhost").map_err(&fault)?);
            params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        }
        // The second is for RSA key exchange.
        params.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.serial_number = Some(serial()?);
        Ok(params)
    }

    /// A leaf that is signed over SHA-1: rcgen makes a self-signed one, and OpenSSL signs it again with the root.
    fn over_sha1(&self, key: &KeyPair, root: &Authority) -> Result<Issued, PkiError> {
        const WHAT: &str = "a certificate signed over SHA-1";
        let folder = self.dir.join("sha1");
        let file = |name: &str, text: String| {
            let path = folder.join(name);
            fs::write(&path, text).map(|()| path.display().to_string()).map_err(fault(WHAT))
        };
        fs::create_dir_all(&folder).map_err(fault(WHAT))?;
        let leaf = self.leaf_params(&self.name)?.self_signed(key).map_err(fault(WHAT))?;
        let certificate = file("leaf.pem", leaf.pem())?;
        let ca = file("root.pem", root.pem())?;
        let signed = keys::openssl(
            WHAT,
            // The key goes through standard input, so it is never on a disk.
            &[
                "x509",
                "-in",
                &certificate,
                "-CA",
                &ca,
                "-CAkey",
                "/dev/stdin",
                "-sha1",
                "-preserve_dates",
                "-set_serial",
                "1",
            ],
            &root.key().serialize_pem(),
        );
        let _ = fs::remove_dir_all(&folder);
        let body: String = signed?.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).map_err(fault(WHAT))?;
        Ok(Issued {
            chain: vec![CertificateDer::from(der)],
            key_pem: key.serialize_pem(),
            root: root.der().clone(),
            name: self.name.clone(),
        })
    }

    fn params(&self, common_name: &str) -> CertificateParams {
        let mut name = DistinguishedName::new();
        name.push(DnType::OrganizationName, "hilrig");
        name.push(DnType::CommonName, common_name);
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.not_before = self.not_before;
        params.not_after = self.not_after;
        params
    }
}

fn p256() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(fault("an EC key"))
}

fn p384() -> Result<KeyPair, PkiError> {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).map_err(fault("an EC key"))
}

/// A serial number of 16 random bytes, positive.
fn serial() -> Result<rcgen::SerialNumber, PkiError> {
    use ring::rand::{SecureRandom as _, SystemRandom};
    let mut number = [0; 16];
    SystemRandom::new().fill(&mut number).map_err(fault("a serial number"))?;
    number[0] = (number[0] & 0x7f) | 0x40;
    Ok(number.to_vec().into())
}

/// An IA5String with this many letters, as DER.
fn ia5(length: usize) -> Vec<u8> {
    let [high, low] = (length as u16).to_be_bytes();
    let mut der = vec![0x16, 0x82, high, low];
    der.resize(4 + length, b'x');
    der
}

fn fault<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> PkiError {
    move |error| PkiError { what, found: error.to_string() }
}

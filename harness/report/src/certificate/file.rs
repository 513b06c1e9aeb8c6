//! `certificate.json`: written with a digest, and read back only as it was written.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hilrig_core::certify::Certificate;
use hilrig_core::certify::certificate::CERTIFICATE_SCHEMA;
use hilrig_core::text::{plain_json, printable};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::input;
use crate::record::CERTIFICATE;

/// No certificate is larger, bytes: what is, is another file.
const MOST: u64 = 16 << 20;
/// What comes before the digest. A JSON string has no line break, so no text of a
/// board's can look like it.
const BEFORE: &str = "\n  \"digest\": \"";
/// What follows it: the digest is the last field.
const AFTER: &str = "\"\n}\n";

/// A certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The file cannot be read.
    #[error("reading {}: {error}. Name a certificate.json, or the folder of a record that has one", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What came instead.
        error: io::Error,
    },
    /// The record has no certificate.
    #[error("{} holds no certificate. Name a certificate.json, or the folder of a record of `hilrig certify`", path.display())]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// It is larger than a certificate can be.
    #[error("{} is larger than {MOST} B, and no certificate is. Name a certificate.json", path.display())]
    Large {
        /// The file.
        path: PathBuf,
    },
    /// It stops in the middle.
    #[error("{} stops at line {line}, column {column}, and is incomplete. Copy it again, or make it again from its record", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It is no certificate.
    #[error("{} is no certificate: {error}. Name a certificate.json as hilrig wrote it", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with line and column.
        error: serde_json::Error,
    },
    /// It is of another schema.
    #[error(
        "{} is a certificate of schema {found}, and this hilrig reads {CERTIFICATE_SCHEMA}. Read it with the version that wrote it",
        path.display()
    )]
    Schema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// It has a key that there is none of.
    #[error("{}: `{key}` is no key of a certificate of schema {CERTIFICATE_SCHEMA}. It was edited, or a newer hilrig wrote it", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key, with the way to it.
        key: String,
    },
    /// It is not what was written.
    #[error(
        "{} was changed since it was written: its digest is {written}, and its contents have {is}. Take the one that the run left, or make it again from its record",
        path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
        /// The digest in the file.
        written: String,
        /// The digest of the rest.
        is: String,
    },
}

/// Fills in the digest and gives the file's text.
pub fn seal(certificate: &mut Certificate) -> String {
    certificate.digest = String::new();
    let text = serde_json::to_string_pretty(certificate).expect("keys are strings") + "\n";
    let mut text = plain_json(&text).into_owned();
    certificate.digest = hex(&Sha256::digest(&text));
    text.insert_str(text.len() - AFTER.len(), &certificate.digest);
    text
}

/// Reads a certificate and makes sure that it is what was written.
///
/// # Errors
/// See [`CertificateError`].
pub fn read_certificate(path: &Path) -> Result<Certificate, CertificateError> {
    let failed = |error| CertificateError::File { path: path.into(), error };
    let mut text = Vec::new();
    // One byte more is read than may be there: that it is too large has its own words.
    let file = input::open(path, u64::MAX).map_err(failed)?;
    file.take(MOST + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > MOST {
        return Err(CertificateError::Large { path: path.into() });
    }
    parse(path, &text)
}

/// The certificates of a record's folder, by the folder that each is in, or the one that is named.
///
/// # Errors
/// There is none, or one of them cannot be used.
pub fn certificates_in(path: &Path) -> Result<Vec<(PathBuf, Certificate)>, CertificateError> {
    if !path.is_dir() {
        return Ok(vec![(path.into(), read_certificate(path)?)]);
    }
    let failed = |error| CertificateError::File { path: path.into(), error };
    let mut files = vec![path.join(CERTIFICATE)];
    for entry in std::fs::read_dir(path).map_err(failed)? {
        files.push(entry.map_err(failed)?.path().join(CERTIFICATE));
    }
    files.retain(|file| file.is_file());
    files.sort();
    if files.is_empty() {
        return Err(CertificateError::None { path: path.into() });
    }
    files.into_iter().map(|file| Ok((file.clone(), read_certificate(&file)?))).collect()
}

fn parse(path: &Path, text: &[u8]) -> Result<Certificate, CertificateError> {
    #[derive(Deserialize)]
    struct Head {
        schema: u64,
    }
    let foreign = |error: serde_json::Error| match error.is_eof() {
        true => {
            CertificateError::Cut { path: path.into(), line: error.line(), column: error.column() }
        }
        false => CertificateError::Foreign { path: path.into(), error },
    };
    let head: Head = serde_json::from_slice(text).map_err(foreign)?;
    if head.schema != u64::from(CERTIFICATE_SCHEMA) {
        return Err(CertificateError::Schema { path: path.into(), found: head.schema });
    }
    let certificate: Certificate = serde_json::from_slice(text).map_err(foreign)?;
    let found: Value = serde_json::from_slice(text).map_err(foreign)?;
    let known = serde_json::to_value(&certificate).map_err(foreign)?;
    if let Some(key) = stray(&found, &known) {
        return Err(CertificateError::Key { path: path.into(), key });
    }
    let is = hex(&Sha256::digest(without_digest(text)));
    if is != certificate.digest {
        let written = certificate.digest;
        return Err(CertificateError::Edited { path: path.into(), written, is });
    }
    Ok(certificate)
}

/// The bytes without the digest, or all of them if it is not in its place.
fn without_digest(text: &[u8]) -> Vec<u8> {
    let length = BEFORE.len() + 64 + AFTER.len();
    let end = text.len().checked_sub(length).map(|at| &text[at..]);
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let in_its_place = end.is_some_and(|end| {
        end.starts_with(BEFORE.as_bytes())
            && end.ends_with(AFTER.as_bytes())
            && end[BEFORE.len()..BEFORE.len() + 64].iter().all(hex)
    });
    match in_its_place {
        true => [&text[..text.len() - 64 - AFTER.len()], AFTER.as_bytes()].concat(),
        false => text.to_vec(),
    }
}

/// The first key of `found` that is not known, with its path.
fn stray(found: &Value, known: &Value) -> Option<String> {
    match (found, known) {
        (Value::Object(found), Value::Object(known)) => found.iter().find_map(|(key, value)| {
            let name = printable(key.as_bytes());
            match known.get(key) {
                None => Some(name),
                Some(known) => stray(value, known).map(|rest| join(&name, &rest)),
            }
        }),
        (Value::Array(found), Value::Array(known)) => {
            found.iter().zip(known).enumerate().find_map(|(at, (found, known))| {
                stray(found, known).map(|rest| join(&format!("[{at}]"), &rest))
            })
        }
        _ => None,
    }
}

fn join(key: &str, rest: &str) -> String {
    let dot = if rest.starts_with('[') { "" } else { "." };
    format!("{key}{dot}{rest}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

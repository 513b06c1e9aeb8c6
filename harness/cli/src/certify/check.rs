//! `hilrig certify check`.

use std::fmt::Write as _;

use hilrig_report::certificates_in;

use crate::args::CertifyCheck;
use crate::error::{Failure, print};

/// Tells of each certificate that its digest holds; the first that does not ends it.
pub fn check(args: &CertifyCheck) -> Result<u8, Failure> {
    let mut text = String::new();
    for path in &args.certificates {
        for (file, certificate) in certificates_in(path).map_err(Failure::usage)? {
            let _ = writeln!(text, "{}: as written, {}", file.display(), certificate.digest);
        }
    }
    print(&text)
}

//! `hilrig certify show`.

use std::path::Path;

use hilrig_report::certificate::{certificates_in, markdown};
use hilrig_report::{TerminalStream, certificate_page, certificate_text};

use crate::args::CertifyShow;
use crate::error::{Failure, print};

/// Makes text or a page of a certificate, which needs no run beside it.
pub fn show(args: &CertifyShow) -> Result<u8, Failure> {
    let certificates = certificates_in(&args.certificate).map_err(Failure::usage)?;
    let texts: Vec<String> = if args.html {
        let [(_, one)] = &certificates[..] else {
            let files = certificates.iter().map(|(file, _)| format!("  {}\n", file.display()));
            return Err(Failure::usage(format!(
                "{} has several certificates, and a page is of one. Name one of:\n{}",
                args.certificate.display(),
                files.collect::<String>()
            )));
        };
        vec![certificate_page(one)]
    } else if args.markdown {
        certificates.iter().map(|(_, of)| markdown(of)).collect()
    } else {
        let stream = args.out.is_none().then_some(TerminalStream::Stdout);
        certificates.iter().map(|(_, of)| certificate_text(stream, of)).collect()
    };
    let text = texts.join("\n");
    match &args.out {
        None => print(&text),
        Some(out) => write(out, &text),
    }
}

fn write(out: &Path, text: &str) -> Result<u8, Failure> {
    std::fs::write(out, text)
        .map_err(|error| Failure::rig(format!("writing {}: {error}", out.display())))?;
    print(&format!("{}\n", out.display()))
}

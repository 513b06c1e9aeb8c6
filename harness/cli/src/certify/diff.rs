//! `hilrig certify diff`.

use std::path::Path;

use hilrig_core::certify::Certificate;
use hilrig_core::exit;
use hilrig_core::text::printable;
use hilrig_report::certificate::{
    Differences, Meaning, certificates_in, differences, differences_markdown,
};
use serde_json::json;

use hilrig_report::text_table;

use crate::args::CertifyDiff;
use crate::error::{Failure, print};

/// Puts the certificates of two records side by side, broker by broker.
pub fn diff(args: &CertifyDiff) -> Result<u8, Failure> {
    let pairs = pairs(&args.before, &args.after)?;
    let compared: Vec<(&Certificate, &Certificate, Differences)> =
        pairs.iter().map(|(before, now)| (before, now, differences(before, now))).collect();
    if let Some((before, now, _)) = compared.iter().find(|(_, _, found)| found.cases == 0) {
        return Err(Failure::usage(format!(
            "the certificates of the runs {} and {} have no case in common, so that nothing is compared. Name two that have",
            printable(before.run.as_bytes()),
            printable(now.run.as_bytes()),
        )));
    }
    let text = if args.json {
        let of = |of: &Certificate| {
            json!({ "name": of.name, "software": of.broker.software, "version": of.broker.version,
                    "run": of.run, "digest": of.digest })
        };
        let all = compared.iter().map(|(before, now, found)| {
            json!({ "before": of(before), "now": of(now), "holds": found.holds(),
                    "compared": found.compared, "cases": found.cases,
                    "only_before": found.only_before, "only_now": found.only_now,
                    "differences": found.differences })
        });
        format!("{:#}\n", json!(all.collect::<Vec<_>>()))
    } else {
        let text = if args.markdown { differences_markdown } else { plain };
        let all = compared.iter().map(|(before, now, found)| text(before, now, found));
        all.collect::<Vec<_>>().join("\n")
    };
    print(&text)?;
    match compared.iter().all(|(_, _, found)| found.holds()) {
        true => Ok(exit::PASSED),
        false => Ok(exit::BOARD_FAILED),
    }
}

/// The certificates that belong together: both, where there is one each; else those of one name.
fn pairs(before: &Path, after: &Path) -> Result<Vec<(Certificate, Certificate)>, Failure> {
    let read = |path| -> Result<Vec<Certificate>, Failure> {
        let all = certificates_in(path).map_err(Failure::usage)?;
        Ok(all.into_iter().map(|(_, certificate)| certificate).collect())
    };
    let (mut was, mut is) = (read(before)?, read(after)?);
    if let ([_], [_]) = (&was[..], &is[..]) {
        return Ok(was.drain(..).zip(is.drain(..)).collect());
    }
    let names = |of: &[Certificate]| {
        of.iter().map(|of| format!("  {}\n", printable(of.name.as_bytes()))).collect::<String>()
    };
    let (was_names, is_names) = (names(&was), names(&is));
    let mut pairs = Vec::new();
    for before in was {
        if let Some(at) = is.iter().position(|now| now.name == before.name) {
            pairs.push((before, is.remove(at)));
        }
    }
    // One that is left over on either side would be a broker that nobody looks at.
    if !is.is_empty() || was_names != is_names {
        return Err(Failure::usage(format!(
            "the brokers are not the same. {} has certificates of:\n{was_names}{} has:\n{is_names}\
             Name two certificate.json to compare these",
            before.display(),
            after.display(),
        )));
    }
    Ok(pairs)
}

/// As a table, with what is worse in capitals: colour is not everywhere.
fn plain(before: &Certificate, now: &Certificate, found: &Differences) -> String {
    let name = |of: &Certificate| {
        let of = format!("{} {} (run {})", of.broker.software, of.broker.version, of.run);
        printable(of.as_bytes())
    };
    let mut head = format!("{}\n{}\n", name(before), name(now));
    for line in found.about() {
        head += &printable(line.as_bytes());
        head.push('\n');
    }
    if found.differences.is_empty() {
        return head + "nothing differs by more than the noise\n";
    }
    let rows = found.differences.iter().map(|difference| {
        let clean = |text: &str| printable(text.as_bytes());
        vec![
            difference.case.as_deref().map_or("-".into(), clean),
            clean(&difference.what),
            clean(&difference.before),
            clean(&difference.now),
            match difference.meaning {
                Meaning::Worse if found.is_comparison() => "worse".into(),
                Meaning::Worse => "WORSE".into(),
                Meaning::Other => String::new(),
                Meaning::Better => "better".into(),
            },
        ]
    });
    head + &text_table(&["case", "what", "before", "now", ""], rows)
}

//! The certificates of a run, each in its broker's folder.

use std::io;
use std::path::PathBuf;

use hilrig_core::event::{Event, What};
use hilrig_core::text::plain_lines;

use super::{markdown, seal};
use crate::model::RunModel;
use crate::record::{CERTIFICATE, CERTIFICATE_TEXT, folder_of};
use crate::reporters::Reporter;
use hilrig_file::WholeFile;

/// Writes `certificate.json` and `certificate.md` when the certification of a broker is over. Of one that
/// was cut short there is none: its cases are in the events.
pub struct CertificateFiles {
    run: RunModel,
    record: PathBuf,
}

impl CertificateFiles {
    /// Writes into the record in this folder.
    pub fn new(record: PathBuf) -> CertificateFiles {
        CertificateFiles { run: RunModel::default(), record }
    }

    fn write(&self, broker: &str) -> io::Result<()> {
        let Some(mut certificate) = self.run.certificate(broker) else { return Ok(()) };
        let text = seal(&mut certificate);
        let folder = self.record.join(folder_of(broker));
        std::fs::create_dir_all(&folder)?;
        WholeFile::new(folder.join(CERTIFICATE)).write(text.as_bytes())?;
        WholeFile::new(folder.join(CERTIFICATE_TEXT))
            .write(plain_lines(&markdown(&certificate)).as_bytes())
    }
}

impl Reporter for CertificateFiles {
    fn name(&self) -> String {
        format!("the certificates in {}", self.record.display())
    }

    fn event(&mut self, event: &Event) -> io::Result<()> {
        self.run.add(event);
        match &event.what {
            What::CertifyEnded(ended) => self.write(&ended.broker),
            _ => Ok(()),
        }
    }
}

//! Events in; terminal, JUnit XML, JSON and boot logs out.
//!
//! [`Reporters`] takes the events of a run and hands each to every [`Reporter`]. A reporter knows
//! nothing but events, so that a recorded stream ([`read_events`]) can be replayed into any of
//! them. What comes of a stream is folded in one place, [`RunModel`]. The files and their fields
//! are described in docs/reference.

mod boot_log;
pub mod certificate;
mod escape;
mod events_file;
mod fold;
mod github;
pub mod heap;
mod history;
mod html;
pub mod input;
mod junit;
mod model;
mod record;
mod reporters;
mod summary;
mod terminal;
mod text_table;
mod timed;

pub use boot_log::{BootLog, BootLogSizes, KEPT_BYTES};
pub use certificate::{
    CertificateError, CertificateFiles, Certification, certificates_in, read_certificate, seal,
};
pub use events_file::{EventsFile, ReadError, Recorded, Torn, for_each_event, read_events};
pub use fold::Fold;
pub use github::{annotations, markdown};
pub use history::{History, HistoryError, HistoryFilter, HistoryRow};
pub use html::{HtmlFile, certificate_page};
pub use junit::JunitFile;
pub use model::{BoardEnd, BoardModel, FlashResult, PhaseRun, RunEnd, RunModel};
pub use record::{
    BOOT_LOG, CERTIFICATE, CERTIFICATE_TEXT, EVENTS, HISTORY, JUNIT, REPORT, Record, RecordError,
    SUMMARY, TIMED_LOG, folder_of,
};
pub use reporters::{Reporter, ReporterFault, Reporters, replay};
pub use summary::SummaryFile;
pub use terminal::{Live, Plain, TerminalStream, TerminalStyle, certificate_text, terminal};
pub use text_table::{terminal_lines, text_table};

//! The baseline: a small text file with the heap figures that were accepted, made to be committed and
//! reviewed. Described in docs/reference/baseline.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use hilrig_core::heap::HeapPhase;
use hilrig_core::place::FileError;
use serde::Deserialize;
use toml::Spanned;

use super::figures::{Boots, HeapFigure, Key, PhaseFigures};
use crate::input;
use hilrig_file::WholeFile;

/// The file's name, beside the configuration.
pub const BASELINE: &str = "heap-baseline.toml";

/// Version of the file's schema.
const SCHEMA: u32 = 1;

const HEAD: &str = "\
# The free heap that was accepted, in bytes, and its fragmentation, in percent. `hilrig heap accept` writes this file,
# `hilrig heap check` fails when a board is worse off. median: the middle of all boots; spread: the farthest that a
# boot was from it.
# Commit it: a change here is a change of what the firmware costs.
";

/// Accepted heap figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Baseline {
    /// One for each key.
    pub entries: BTreeMap<Key, Entry>,
}

/// The figures of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// How many boots they come from.
    pub boots: usize,
    /// The commit that they were measured at, if it was one.
    pub commit: Option<String>,
    /// The firmware's build id, if it was one.
    pub build: Option<String>,
    /// Static memory of the firmware: sections of its ELF file with their sizes, bytes.
    pub sections: BTreeMap<String, u64>,
    /// The figures.
    pub figures: BTreeMap<HeapPhase, PhaseFigures>,
}

/// A baseline cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// There is none.
    #[error("there is no baseline {}. `hilrig heap accept` writes one", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("reading the baseline {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What came instead.
        error: io::Error,
    },
    /// It is none, or is cut off.
    #[error("{0}")]
    Wrong(FileError),
    /// It cannot be written. What was there still is.
    #[error("writing the baseline {}: {error}. What was there is unchanged", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What came instead.
        error: io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    schema: Spanned<u32>,
    #[serde(default)]
    baseline: Vec<Spanned<WrittenEntry>>,
    /// The last line of a whole file, `[end]`.
    end: Option<End>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct End {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenEntry {
    kind: String,
    configuration: String,
    tls: String,
    boots: usize,
    commit: Option<String>,
    build: Option<String>,
    #[serde(default)]
    sections: BTreeMap<String, u64>,
    phase: BTreeMap<HeapPhase, PhaseFigures>,
}

impl Entry {
    /// The figures of these boots.
    pub fn of(boots: &Boots) -> Entry {
        let only = |set: &std::collections::BTreeSet<String>| {
            set.first().filter(|_| set.len() == 1).cloned()
        };
        Entry {
            boots: boots.boots,
            commit: only(&boots.commits),
            build: only(&boots.builds),
            sections: boots.sections.clone(),
            figures: boots.figures(),
        }
    }
}

impl Baseline {
    /// Reads one.
    ///
    /// # Errors
    /// There is none, or what there is is no whole baseline of a schema that this hilrig reads.
    pub fn read(path: &Path) -> Result<Baseline, BaselineError> {
        let text =
            input::read_text(path, input::TEXT_MOST).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => BaselineError::Missing { path: path.into() },
                _ => BaselineError::Read { path: path.into(), error },
            })?;
        Baseline::parse(path, &text).map_err(BaselineError::Wrong)
    }

    /// One that was read; `path` is what errors call it.
    ///
    /// # Errors
    /// The text is no whole baseline of a schema that this hilrig reads.
    pub fn parse(path: &Path, text: &str) -> Result<Baseline, FileError> {
        let written: Written = hilrig_core::reading::whole(path, text)?;
        let schema = *written.schema.get_ref();
        if schema != SCHEMA {
            let message = format!(
                "a baseline of schema {schema}, and this hilrig reads {SCHEMA}. Accept the figures again with `hilrig heap accept`"
            );
            return Err(FileError::at_span(path, text, written.schema.span(), message));
        }
        let Some(End {}) = written.end else {
            let message = "the file is cut off: its last line, `[end]`, is missing. Take it from the repository again";
            return Err(FileError::at_line(path, text.lines().count().max(1), message));
        };
        let mut entries = BTreeMap::new();
        for entry in written.baseline {
            let span = entry.span();
            let WrittenEntry { kind, configuration, tls, boots, commit, build, sections, phase } =
                entry.into_inner();
            let key = Key { kind, configuration, tls };
            let entry = Entry { boots, commit, build, sections, figures: phase };
            if entries.insert(key.clone(), entry).is_some() {
                return Err(FileError::at_span(path, text, span, format!("{key} is there twice")));
            }
        }
        Ok(Baseline { entries })
    }

    /// Writes it, as a whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        WholeFile::new(path.into())
            .write(self.text().as_bytes())
            .map_err(|error| BaselineError::Write { path: path.into(), error })
    }

    fn text(&self) -> String {
        let quoted = |text: &str| toml::Value::from(text).to_string();
        let mut out = format!("{HEAD}schema = {SCHEMA}\n");
        for (key, entry) in &self.entries {
            let _ = writeln!(out, "\n[[baseline]]\nkind = {}", quoted(&key.kind));
            let _ = writeln!(out, "configuration = {}", quoted(&key.configuration));
            let _ = writeln!(out, "tls = {}\nboots = {}", quoted(&key.tls), entry.boots);
            for (name, value) in [("commit", &entry.commit), ("build", &entry.build)] {
                if let Some(value) = value {
                    let _ = writeln!(out, "{name} = {}", quoted(value));
                }
            }
            if !entry.sections.is_empty() {
                let _ = writeln!(out, "[baseline.sections]");
            }
            for (name, bytes) in &entry.sections {
                let _ = writeln!(out, "{} = {bytes}", quoted(name));
            }
            for (phase, figures) in &entry.figures {
                let _ = writeln!(out, "[baseline.phase.{}]", phase.name());
                for (metric, HeapFigure { median, spread }) in figures {
                    let name = metric.name();
                    let _ = writeln!(out, "{name} = {{ median = {median}, spread = {spread} }}");
                }
            }
        }
        // So that a file that was cut off is known as one.
        out.push_str("\n[end]\n");
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::run;
    use super::*;

    fn baseline() -> Baseline {
        let runs =
            [run(&[(HeapPhase::Boot, 50_080, 50_000)]), run(&[(HeapPhase::Boot, 50_090, 50_000)])];
        let boots = Boots::of(&runs);
        Baseline {
            entries: boots.iter().map(|(key, boots)| (key.clone(), Entry::of(boots))).collect(),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("heap-baseline.toml");
        assert!(matches!(Baseline::read(&path), Err(BaselineError::Missing { .. })));
        baseline().write(&path).unwrap();
        assert_eq!(Baseline::read(&path).unwrap(), baseline());
        insta::assert_snapshot!(std::fs::read_to_string(&path).unwrap());
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let text = baseline().text();
        let body = text.find("schema").unwrap();
        for end in body..text.trim_end().len() {
            let cut = Baseline::parse(Path::new("b.toml"), &text[..end]);
            assert!(cut.is_err(), "cut at {end} of {}", text.len());
        }
    }

    #[test]
    fn another_schema_and_unknown_keys_are_refused_with_their_line() {
        let wrong =
            |text: &str| Baseline::parse(Path::new("b.toml"), text).unwrap_err().to_string();
        let other = wrong("schema = 7\n[end]\n");
        assert!(other.starts_with("b.toml:1: a baseline of schema 7"), "{other}");
        assert!(wrong("schema = 1\nmore = 1\n[end]\n").contains("b.toml:2: unknown key"));
        assert!(wrong("schema = 1\n").contains("b.toml:1: the file is cut off"));
    }
}

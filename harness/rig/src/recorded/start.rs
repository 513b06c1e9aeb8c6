//! A run with a record: its folders, its first events, its boards, its end.

use std::path::Path;
use std::sync::Arc;

use hilrig_broker::{Login, RunDir};
use hilrig_core::event::{Events, RunStarted, SCHEMA, What};
use hilrig_core::exit;
use hilrig_core::plural::counted;
use hilrig_core::text::Secrets;
use hilrig_core::verdict::Verdict;
use hilrig_report::{BootLog, Record, Reporter, Reporters, TerminalStream};
use time::format_description::well_known::Rfc3339;

use super::end::RunEnds;
use super::files::reporters;
use super::id::RunId;
use crate::attach::AttachedBoards;
use crate::folders::lock_folder;
use crate::load::{self, RunInputs};
use crate::{Error, Member, limits};

/// The folders of a run, and the id that names them.
pub struct RunFolders {
    /// The run's id.
    pub id: RunId,
    /// The record.
    pub record: Record,
    /// Temporary files; removed with this.
    pub temporary: RunDir,
}

impl RunFolders {
    /// Makes them. The record is exactly `record` if that is given, else a folder of the configuration's
    /// records.
    ///
    /// # Errors
    /// A folder cannot be made, the record is not empty, or the process may open too few files for so many
    /// boards.
    pub fn create(
        inputs: &RunInputs,
        id: RunId,
        record: Option<&Path>,
    ) -> Result<RunFolders, Error> {
        limits::enough_files(inputs.chosen.len())?;
        // First the folder that is removed again if the other cannot be created.
        let temporary = RunDir::create(id.as_str()).map_err(|error| {
            Error::rig(format!(
                "making the run's temporary folder in {}: {error}. Set TMPDIR to a folder that is there and can be written to",
                hilrig_broker::temporary_folder().display()
            ))
        })?;
        let record = match record {
            Some(folder) => Record::create_at(folder),
            None => Record::create(&inputs.config.records, id.as_str()),
        }
        .map_err(Error::usage)?;
        Ok(RunFolders { id, record, temporary })
    }
}

/// What goes into a run's record.
pub struct Recording<'a> {
    /// The broker's login, which is hidden everywhere.
    pub login: &'a Login,
    /// The seed of all random values.
    pub seed: u64,
    /// The scenarios, as the record names them.
    pub scenarios: Vec<String>,
    /// Reporters in addition to those that write the record.
    pub reporters: Vec<Box<dyn Reporter>>,
    /// Where the run is shown.
    pub terminal: Option<TerminalStream>,
}

/// A run that has begun: its record exists and has its first event. However it ends, also by an error or a panic, the
/// record gets its last event.
pub struct RecordedRun {
    /// Its id and its folders.
    pub folders: RunFolders,
    /// Where its events go.
    pub events: Events,
    /// The values that are not printed anywhere.
    pub secrets: Secrets,
    seed: u64,
    reporters: Arc<Reporters>,
    ends: RunEnds,
}

impl RecordedRun {
    /// Writes the first events, and removes leftovers of ended runs.
    ///
    /// # Errors
    /// The record cannot be written.
    pub async fn begin(
        inputs: &mut RunInputs,
        folders: RunFolders,
        recording: Recording<'_>,
    ) -> Result<RecordedRun, Error> {
        let Recording { login, seed, scenarios, reporters: more, terminal } = recording;
        let secrets = load::secrets(std::mem::take(&mut inputs.secrets), login);
        let baseline = inputs.baseline.take();
        let reporters = reporters(&folders.record, &inputs.config, baseline, more, terminal)?;
        let reporters = Arc::new(reporters);
        let events = Events::new(reporters.clone(), secrets.clone());
        let ends = RunEnds::new(&events, &reporters);
        let run = RecordedRun { folders, events, secrets, seed, reporters, ends };
        run.started(inputs, scenarios).await.map_err(|error| run.ends.because(error))?;
        Ok(run)
    }

    async fn started(&self, inputs: &RunInputs, scenarios: Vec<String>) -> Result<(), Error> {
        let events = &self.events;
        events.run(What::RunStarted(RunStarted {
            schema: SCHEMA,
            hilrig: env!("CARGO_PKG_VERSION").into(),
            run: self.folders.id.to_string(),
            started: self.folders.id.started().format(&Rfc3339).map_err(Error::internal)?,
            seed: self.seed,
            commit: load::commit_of(inputs.config.path.parent()),
            settings: inputs.config.settings.clone(),
            scenarios,
            floors: inputs.config.floors.clone(),
            firmware: inputs.firmware.clone(),
            boards: inputs.chosen.iter().map(|board| board.name.clone()).collect(),
        }));
        for text in &inputs.without_elf {
            events.run(What::Note { text: text.clone() });
        }
        hilrig_broker::sweep(&mut |text| events.run(What::Note { text })).await;
        match hilrig_boards::sweep_locks(&lock_folder()) {
            0 => {}
            swept => events.run(What::Note {
                text: format!(
                    "removed {} of ports: the runs that left them ended",
                    counted(swept, "lock")
                ),
            }),
        }
        Ok(())
    }

    /// Starts the virtual boards and attaches the others.
    pub async fn attach(&self, inputs: &RunInputs) -> AttachedBoards {
        let dir = self.folders.temporary.path();
        AttachedBoards::start(&inputs.config, &inputs.chosen, dir, self.seed).await
    }

    /// The boards, each with its place in the record.
    ///
    /// # Errors
    /// A boot log cannot be made.
    pub fn members(&self, boards: &mut AttachedBoards) -> Result<Vec<Member>, Error> {
        let boards = boards.take_boards().into_iter();
        let members = boards.map(|(board, kind)| {
            let log = BootLog::create(
                &self.folders.record,
                board.name(),
                &self.secrets,
                self.events.start(),
            );
            let record = Box::new(log.map_err(Error::rig)?);
            Ok(Member { board, kind, record })
        });
        members.collect::<Result<_, Error>>().map_err(|error| self.ends.because(error))
    }

    /// Why the record is incomplete, if it is.
    pub fn record_fault(&self) -> Option<String> {
        self.reporters.faults().first().map(ToString::to_string)
    }

    /// Ends the record. Returns the exit code and what could not be written. A run that passed and whose record is
    /// incomplete ends with the code of a rig fault, because its verdict cannot be checked.
    pub fn finish(&self, verdict: Verdict) -> (u8, Vec<String>) {
        let faults: Vec<String> = self.reporters.finish().iter().map(ToString::to_string).collect();
        let code = match exit::of(verdict) {
            exit::PASSED if !faults.is_empty() => exit::RIG_FAULT,
            code => code,
        };
        (code, faults)
    }
}

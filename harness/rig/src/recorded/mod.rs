//! A run with a record, as `hilrig run` makes one.

mod end;
mod files;
mod id;
mod start;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hilrig_broker::BrokerDescription;
use hilrig_core::place::FileError;
use hilrig_core::scenario::ScenarioRun;
use hilrig_report::{Fold, RunModel, TerminalStream};

use self::files::remember;
pub use self::id::{RunId, fresh_seed};
pub use self::start::{RecordedRun, Recording, RunFolders};
use crate::load::{self, BoardSelection, RunInputs, ScenarioSelection};
use crate::scenario::longest;
use crate::{BrokerChoice, Error, Job, MainPath, RunBroker, RunBrokerPlan, StopRequest};

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The configuration file.
    pub config: PathBuf,
    /// The boards.
    pub boards: BoardSelection,
    /// What runs after the main path.
    pub scenarios: ScenarioSelection,
    /// Run the heap-tracing image (`callers` in the configuration).
    pub callers: bool,
    /// Flash even if the image is on the board already.
    pub force_flash: bool,
    /// Which broker, or where it runs, in place of the configuration's.
    pub broker: Option<BrokerChoice>,
    /// The seed of all random values, below 2^53; by default a new one.
    pub seed: Option<u64>,
    /// The record goes into exactly this folder, which must be new or empty.
    pub record: Option<PathBuf>,
    /// The folder of records, in place of the configuration's.
    pub records: Option<PathBuf>,
    /// Where the run is shown while it runs.
    pub terminal: Option<TerminalStream>,
}

impl RunRequest {
    /// The boards of this configuration, nothing more, shown nowhere.
    pub fn new(config: impl Into<PathBuf>) -> RunRequest {
        RunRequest {
            config: config.into(),
            boards: BoardSelection::default(),
            scenarios: ScenarioSelection::default(),
            callers: false,
            force_flash: false,
            broker: None,
            seed: None,
            record: None,
            records: None,
            terminal: None,
        }
    }
}

/// A run that is over.
pub struct FinishedRun {
    /// The exit code of `hilrig run`.
    pub code: u8,
    /// The folder of its record.
    pub record: PathBuf,
    /// The model of its events.
    pub run: RunModel,
    /// Why it was stopped, if it was.
    pub stopped: Option<String>,
    /// The parts of the record that could not be written.
    pub faults: Vec<String>,
    /// Why the run could not be added to the bench's history. Its record has everything.
    pub not_in_history: Option<String>,
}

/// Runs the main path and the scenarios on every board, with a record.
///
/// # Errors
/// As those of [`run_job_recorded`].
pub async fn run_recorded(request: &RunRequest, stop: &StopRequest) -> Result<FinishedRun, Error> {
    run_job_recorded(request, &MainPath, stop).await
}

/// Runs a job on every board, with a record.
///
/// # Errors
/// The request, the configuration or a file that it names cannot be used; the record or the run's temporary
/// folder cannot be made. A board that fails and a bench that has trouble are no errors: they are in the
/// run's record.
pub async fn run_job_recorded(
    request: &RunRequest,
    job: &dyn Job,
    stop: &StopRequest,
) -> Result<FinishedRun, Error> {
    // Everything that can be refused is refused before a board is touched.
    let mut config = load::config(&request.config)?;
    if let Some(choice) = &request.broker {
        choice.override_in(&mut config.broker);
    }
    let software = BrokerDescription::configured(&config.broker)
        .map_err(|found| Error::usage(FileError::whole(&config.path, found)))?;
    if let Some(records) = &request.records {
        config.records.clone_from(records);
    }
    let mut inputs = RunInputs::read(config, &request.boards, request.callers)?;
    load::refuse_twins(&inputs.config, &inputs.chosen).await?;
    let scenarios = load::scenarios(&request.scenarios, &inputs.config, &inputs.contract)?;

    let id = RunId::new(&inputs.config.records);
    let folders = RunFolders::create(&inputs, id, request.record.as_deref())?;
    let broker = broker_plan(software, &inputs, &folders, &scenarios)?;
    let fold = Fold::default();
    let seed = request.seed.unwrap_or_else(fresh_seed);
    let recording = Recording {
        login: &broker.login,
        seed,
        scenarios: scenarios.iter().map(ToString::to_string).collect(),
        reporters: vec![Box::new(fold.clone())],
        terminal: request.terminal,
    };
    let run = RecordedRun::begin(&mut inputs, folders, recording).await?;
    let mut boards = run.attach(&inputs).await;
    let members = run.members(&mut boards)?;
    let reason = format!("the run {}", run.folders.id);
    let config = inputs.config.clone();
    let plan = inputs.into_plan(scenarios, seed, request.force_flash, reason);
    let mut broker = RunBroker::new(broker, run.events.clone());
    let record_fault = || run.record_fault();
    let stop_requested = stop.requested();
    let events = &run.events;
    let outcome =
        crate::run(&plan, members, job, &mut broker, events, stop_requested, record_fault).await;
    boards.stop().await;

    let (code, faults) = run.finish(outcome.verdict);
    let (record, model) = (&run.folders.record, fold.run());
    // A record in a folder of its own does not start a history.
    let apart = request.record.is_some() && !config.records.is_dir();
    let not_in_history = match apart {
        true => None,
        false => remember(&config, &model, record).err(),
    };
    let record = record.folder().into();
    let stopped = stop.reason();
    Ok(FinishedRun { code, record, run: model, stopped, faults, not_in_history })
}

/// The broker of a run.
fn broker_plan(
    software: Arc<BrokerDescription>,
    inputs: &RunInputs,
    folders: &RunFolders,
    scenarios: &[ScenarioRun],
) -> Result<RunBrokerPlan, Error> {
    let (config, deadlines) = (&inputs.config, &inputs.config.deadlines);
    let dir = folders.temporary.path();
    let id = folders.id.as_str();
    let mut plan = RunBrokerPlan::new(software, &config.broker, id, dir, deadlines.broker)
        .map_err(Error::rig)?;
    // A board reaches it through a relay, unless its port is fixed.
    if plan.port.is_some() {
        plan.listen = inputs.listen();
    }
    plan.longest =
        deadlines.run + scenarios.iter().map(|run| longest(run, deadlines)).sum::<Duration>();
    Ok(plan)
}

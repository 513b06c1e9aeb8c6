//! `hilrig run`: wires boards, broker and reporters to the runner.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hilrig::{Plan, RunBroker, RunBrokerPlan};
use hilrig_broker::Software;
use hilrig_core::config::{BoardKind, Config};
use hilrig_core::event::Events;
use hilrig_core::exit;
use hilrig_core::place::FileError;
use hilrig_report::heap::Baseline;
use hilrig_report::{
    CertificateFiles, EVENTS, EventsFile, Fold, HISTORY, History, HtmlFile, JUNIT, JunitFile,
    Record, Reporter, Reporters, RunModel, SUMMARY, Stream, SummaryFile,
};
use time::OffsetDateTime;

use crate::ends::RunEnds;
use crate::error::Failure;
use crate::session::{self, Boards, Loaded, fresh_seed, run_id};
use crate::{args, bench, load, scenarios, signals, twins};

/// What is shown of a run while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// Everything, as the terminal takes it.
    All,
    /// Nothing but what went wrong with the record.
    OnlyTrouble,
}

/// A run that is over.
pub struct Done {
    /// The exit code that it comes to.
    pub code: u8,
    /// The folder of its record.
    pub record: PathBuf,
    /// What its events come to.
    pub run: RunModel,
    /// Why it was stopped, where somebody stopped it.
    pub stopped: Option<String>,
}

/// Runs the path on every board.
pub async fn run(args: args::Run) -> Result<u8, Failure> {
    once(args, None, Shown::All).await.map(|done| done.code)
}

/// The same for those who go on with the record, which goes into `records` if that is given.
pub async fn once(args: args::Run, records: Option<&Path>, shown: Shown) -> Result<Done, Failure> {
    // Everything that can be refused is refused before anything is touched.
    let mut config = load::config(&args.config.config)?;
    if let Some(choice) = args.broker {
        choice.override_in(&mut config.broker);
    }
    let software = Software::configured(&config.broker)
        .map_err(|found| Failure::usage(FileError::whole(&config.path, found)))?;
    if let Some(records) = records {
        config.records = records.into();
    }
    let virtual_boards = args.virtual_boards.map(usize::from);
    let kind = args.kind.map(BoardKind::from);
    let boards = Boards { virtual_boards, kind, names: &args.board, callers: args.callers };
    let mut loaded = Loaded::read(config, &boards)?;
    twins::refuse(&loaded.config, &loaded.chosen).await?;
    let scenarios = scenarios::asked(&args.scenarios, &loaded.config, &loaded.contract)?;
    let stopped = RefCell::new(None);
    let signal = signals::told_to_stop().map_err(Failure::internal)?;
    let stop = async {
        let why = signal.await;
        stopped.replace(Some(why.clone()));
        why
    };

    let seed = args.seed.unwrap_or_else(fresh_seed);
    let now = OffsetDateTime::now_utc();
    let run = run_id(now, &loaded.config.records);
    let (record, run_dir) = loaded.folders(args.record.as_deref(), &run)?;
    let mut broker_plan = RunBrokerPlan::new(
        software,
        &loaded.config.broker,
        &run,
        run_dir.path(),
        loaded.config.deadlines.broker,
    )
    .map_err(Failure::rig)?;
    broker_plan.listen = loaded.listen();
    let deadlines = &loaded.config.deadlines;
    broker_plan.longest = deadlines.run
        + scenarios.iter().map(|asked| asked.longest(deadlines)).sum::<std::time::Duration>();
    let secret_values = std::mem::take(&mut loaded.secrets);
    let secrets = load::secrets(secret_values, &broker_plan.login);

    let fold = Fold::default();
    let baseline = loaded.baseline.take();
    let more: Vec<Box<dyn Reporter>> = vec![Box::new(fold.clone())];
    let reporters = Arc::new(reporters(&record, &loaded.config, baseline, more, shown)?);
    let events = Events::new(reporters.clone(), secrets.clone());
    let ends = RunEnds::new(&events, &reporters);
    let asked = scenarios.iter().map(ToString::to_string).collect();
    let told = loaded.tell_start(&events, &run, now, seed, asked).await;
    told.map_err(|failure| ends.because(failure))?;

    let mut bench = bench::Bench::start(&loaded.config, &loaded.chosen, run_dir.path(), seed).await;
    let members = session::members(&mut bench, &record, &secrets, &events);
    let members = members.map_err(|failure| ends.because(failure))?;
    let listen = loaded.listen().into();
    let Loaded { config, contract, images, elves, settings, .. } = loaded;
    let plan = Plan {
        contract,
        images,
        elves,
        settings,
        floors: load::floors(&config),
        scenarios,
        seed,
        deadlines: config.deadlines,
        force_flash: args.flash,
        reason: format!("the run {run}"),
        listen,
    };
    let mut broker = RunBroker::new(broker_plan, events.clone());
    let record_fault = || reporters.faults().first().map(ToString::to_string);
    let outcome = hilrig::run(&plan, members, &mut broker, &events, stop, record_fault).await;
    bench.stop().await;
    drop(run_dir);

    let faults = reporters.finish();
    for fault in &faults {
        crate::error::say(&Failure::rig(fault));
    }
    // A record in a folder of its own (`--record`) begins no history where there was none.
    let apart = args.record.is_some() && !config.records.is_dir();
    let run = fold.run();
    if !apart && let Err(error) = remember(&config.records, &run, &record) {
        crate::error::warn(&error);
    }
    // A verdict whose record is not whole cannot be shown to anybody.
    let code = match exit::of(outcome.verdict) {
        exit::PASSED if !faults.is_empty() => exit::RIG_FAULT,
        code => code,
    };
    Ok(Done { code, record: record.folder().into(), run, stopped: stopped.into_inner() })
}

/// The reporters that write the record, then `more`, then the terminal.
pub fn reporters(
    record: &Record,
    config: &Config,
    baseline: Option<Baseline>,
    more: Vec<Box<dyn Reporter>>,
    shown: Shown,
) -> Result<Reporters, Failure> {
    let events = EventsFile::create(&record.file(EVENTS)).map_err(|error| {
        Failure::rig(format!("making {}: {error}", record.file(EVENTS).display()))
    })?;
    let mut page = HtmlFile::new(record.folder().into()).beside(config.records.join(HISTORY));
    if let Some(baseline) = baseline {
        page = page.against(baseline);
    }
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(events),
        Box::new(SummaryFile::new(record.file(SUMMARY))),
        Box::new(JunitFile::new(record.file(JUNIT))),
        Box::new(CertificateFiles::new(record.folder().into())),
        Box::new(page),
    ];
    reporters.extend(more);
    if shown == Shown::All {
        reporters.push(hilrig_report::terminal(Stream::Stdout, Some(record.folder().into())));
    }
    Ok(Reporters::new(reporters))
}

/// Puts the run into the bench's history. The record holds it all, so that one that cannot be written
/// to loses nothing and is no fault of the run.
fn remember(records: &Path, run: &RunModel, record: &Record) -> Result<(), String> {
    History::open(&records.join(HISTORY))
        .and_then(|mut history| history.add(run, record.folder()))
        .map_err(|error| error.to_string())
}

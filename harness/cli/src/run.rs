//! `hilrig run`: wires boards, broker and reporters to the runner.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use hilrig_broker::{Broker, BrokerPlan, RunDir};
use hilrig_core::config::{BoardKind, Config};
use hilrig_core::event::{BrokerFacts, Events, FirmwareFacts, RunStarted, SCHEMA, What};
use hilrig_core::exit;
use hilrig_core::image::Image;
use hilrig_report::heap::{BASELINE, Baseline, BaselineError};
use hilrig_report::{
    BootLog, EVENTS, EventsFile, HISTORY, History, HtmlFile, JUNIT, JunitFile, Record, Reporter,
    Reporters, RunModel, SUMMARY, Stream, SummaryFile, read_events,
};
use hilrig_runner::{BenchBroker, BrokerEndpoint, Member, Plan};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::error::Failure;
use crate::{args, bench, commit, elf, load, scenarios, signals};

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
}

/// Runs the path on every board.
pub async fn run(args: args::Run) -> Result<u8, Failure> {
    once(args, None, Shown::All).await.map(|done| done.code)
}

/// The same for those who go on with the record, which goes into `records` if that is given.
pub async fn once(args: args::Run, records: Option<&Path>, shown: Shown) -> Result<Done, Failure> {
    // Everything that can be refused is refused before anything is touched.
    let mut config = load::config(&args.config.config)?;
    if let Some(place) = args.broker {
        config.broker.kind = place.into();
    }
    if let Some(records) = records {
        config.records = records.into();
    }
    let chosen = bench::choose(
        &config,
        args.virtual_boards.map(usize::from),
        args.kind.map(BoardKind::from),
        &args.board,
    )?;
    let contract = load::contract(&config)?;
    let scenarios = scenarios::asked(&args.scenarios, &config, &contract)?;
    let kinds: std::collections::BTreeSet<BoardKind> =
        chosen.iter().map(|board| board.kind).collect();
    let images = kinds
        .into_iter()
        .map(|kind| Ok((kind, load::image(&config, &contract, kind)?)))
        .collect::<Result<std::collections::BTreeMap<BoardKind, Image>, Failure>>()?;
    let mut elves = std::collections::BTreeMap::new();
    let mut without_elf = Vec::new();
    for (kind, image) in &images {
        let (elf, why) = elf::of_image(&config, &contract, *kind, image)?;
        elves.extend(elf.map(|elf| (*kind, elf)));
        without_elf.extend(why);
    }
    if chosen.iter().any(bench::has_boot_rom) {
        load::boot_rom(&config)?;
    }
    let (settings, mut secret_values) = load::settings(&config)?;
    secret_values.extend(load::power_passwords(&config, &chosen)?);
    let stop = signals::told_to_stop().map_err(Failure::internal)?;

    let seed = args.seed.unwrap_or_else(fresh_seed);
    let now = OffsetDateTime::now_utc();
    let run = run_id(now);
    let record = match &args.record {
        Some(folder) => Record::create_at(folder),
        None => Record::create(&config.records, &run),
    }
    .map_err(Failure::usage)?;
    let run_dir = RunDir::create(&run).map_err(|error| {
        Failure::rig(format!(
            "making the run's temporary folder in {}: {error}",
            std::env::temp_dir().display()
        ))
    })?;
    let mut broker_plan =
        BrokerPlan::new(&config.broker, &run, run_dir.path(), config.deadlines.broker)
            .map_err(Failure::rig)?;
    broker_plan.listen = listen(&chosen);
    let secrets = load::secrets(secret_values, &broker_plan.login.password);

    let reporters = Arc::new(reporters(&record, &config, shown)?);
    let events = Events::new(reporters.clone(), secrets.clone());
    events.run(What::RunStarted(RunStarted {
        schema: SCHEMA,
        hilrig: env!("CARGO_PKG_VERSION").into(),
        run: run.clone(),
        started: now.format(&Rfc3339).map_err(Failure::internal)?,
        seed,
        commit: commit::of(config.path.parent()),
        settings: config.settings.clone(),
        scenarios: scenarios.iter().map(ToString::to_string).collect(),
        floors: config.floors.clone(),
        firmware: images.iter().map(|(kind, image)| firmware_facts(*kind, image)).collect(),
        boards: chosen.iter().map(|board| board.name.clone()).collect(),
    }));
    for text in without_elf {
        events.run(What::Note { text });
    }
    hilrig_broker::sweep(&mut |text| events.run(What::Note { text })).await;
    match hilrig_boards::sweep_locks(&bench::lock_folder()) {
        0 => {}
        swept => events.run(What::Note {
            text: format!("swept {swept} lock(s) of ports: the runs that left them are gone"),
        }),
    }

    let mut bench = bench::Bench::start(&config, &chosen, run_dir.path(), seed).await;
    let members = bench
        .take_boards()
        .into_iter()
        .map(|(board, kind)| {
            let record = BootLog::create(&record, board.name(), &secrets, events.start())
                .map_err(Failure::rig)?;
            Ok(Member { board, kind, record: Box::new(record) })
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let plan = Plan {
        contract,
        images,
        elves,
        settings,
        floors: config.floors.clone(),
        scenarios,
        seed,
        deadlines: config.deadlines,
        force_flash: args.flash,
        reason: format!("the run {run}"),
        listen: listen(&chosen).into(),
    };
    let mut broker = RunBroker { plan: Some(broker_plan), broker: None, events: events.clone() };
    let record_fault = || reporters.faults().first().map(ToString::to_string);
    let outcome =
        hilrig_runner::run(&plan, members, &mut broker, &events, stop, record_fault).await;
    bench.stop().await;
    drop(run_dir);

    let faults = reporters.finish();
    for fault in &faults {
        crate::error::say(&Failure::rig(fault));
    }
    // A record in a folder of its own (`--record`) begins no history where there was none.
    let apart = args.record.is_some() && !config.records.is_dir();
    if !apart && let Err(error) = remember(&config.records, &record) {
        crate::error::warn(&error);
    }
    // A verdict whose record is not whole cannot be shown to anybody.
    let code = match exit::of(outcome.verdict) {
        exit::PASSED if !faults.is_empty() => exit::RIG_FAULT,
        code => code,
    };
    Ok(Done { code, record: record.folder().into() })
}

fn reporters(record: &Record, config: &Config, shown: Shown) -> Result<Reporters, Failure> {
    let events = EventsFile::create(&record.file(EVENTS)).map_err(|error| {
        Failure::rig(format!("making {}: {error}", record.file(EVENTS).display()))
    })?;
    let mut page = HtmlFile::new(record.folder().into()).beside(config.records.join(HISTORY));
    match Baseline::read(&config.path.with_file_name(BASELINE)) {
        Ok(baseline) => page = page.against(baseline),
        Err(BaselineError::Missing { .. }) => {}
        Err(error) => return Err(Failure::usage(error)),
    }
    let mut reporters: Vec<Box<dyn Reporter>> = vec![
        Box::new(events),
        Box::new(SummaryFile::new(record.file(SUMMARY))),
        Box::new(JunitFile::new(record.file(JUNIT))),
        Box::new(page),
    ];
    if shown == Shown::All {
        reporters.push(hilrig_report::terminal(Stream::Stdout, Some(record.folder().into())));
    }
    Ok(Reporters::new(reporters))
}

/// Puts the run into the bench's history. The record holds it all, so that one that cannot be written
/// to loses nothing and is no fault of the run.
fn remember(records: &Path, record: &Record) -> Result<(), String> {
    let recorded = read_events(&record.file(EVENTS)).map_err(|error| error.to_string())?;
    let run = RunModel::of(&recorded.events);
    History::open(&records.join(HISTORY))
        .and_then(|mut history| history.add(&run, record.folder()))
        .map_err(|error| error.to_string())
}

fn firmware_facts(kind: BoardKind, image: &Image) -> FirmwareFacts {
    FirmwareFacts {
        kind: kind.name().into(),
        image: image.path.display().to_string(),
        bytes: image.bytes.len() as u64,
        sha256: image.sha256.clone(),
        build: image.build.clone(),
    }
}

/// Virtual boards find the rig on loopback; a board on the network must reach it from there.
fn listen(boards: &[bench::Chosen]) -> Ipv4Addr {
    match boards.iter().all(|board| board.kind.is_virtual()) {
        true => Ipv4Addr::LOCALHOST,
        false => Ipv4Addr::UNSPECIFIED,
    }
}

fn fresh_seed() -> u64 {
    // The clock's nanoseconds and the process: not secret, only different from run to run. 32 bits
    // are short to type, and whole in every reader of JSON (which may stop at 53).
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() as u64;
    (now.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) ^ u64::from(std::process::id())
}

/// Sorts by time, and two runs that start in one second differ by their process, or by their number
/// in it.
fn run_id(now: OffsetDateTime) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    let time = now.format(&format).unwrap_or_default();
    static RUNS: AtomicU32 = AtomicU32::new(0);
    match RUNS.fetch_add(1, Ordering::Relaxed) {
        0 => format!("{time}-{}", std::process::id()),
        more => format!("{time}-{}-{}", std::process::id(), more + 1),
    }
}

/// The broker of the run, as the runner knows it.
struct RunBroker {
    plan: Option<BrokerPlan>,
    broker: Option<Broker>,
    events: Events,
}

#[async_trait(?Send)]
impl BenchBroker for RunBroker {
    async fn start(&mut self) -> Result<(BrokerEndpoint, BrokerFacts), String> {
        let plan = self.plan.take().ok_or("the broker was started already")?;
        let events = self.events.clone();
        let mut note = move |text| events.run(What::Note { text });
        let broker = Broker::start(plan, &mut note).await.map_err(|error| error.to_string())?;
        let (user, password) = broker.credentials();
        let endpoint = BrokerEndpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: broker.port(),
            impostor_port: broker.impostor_port(),
            ca_der: broker.ca_der().to_vec(),
            server_name: broker.server_name().into(),
            credentials: Some((user.into(), password.into())),
            client_certificate: None,
        };
        let facts = broker.facts();
        self.broker = Some(broker);
        Ok((endpoint, facts))
    }

    async fn restart(&mut self) -> Result<(), String> {
        let broker = self.broker.as_mut().ok_or("the broker was never started")?;
        let mut note = |text| self.events.run(What::Note { text });
        broker.restart(&mut note).await.map_err(|error| error.to_string())
    }

    async fn gone(&mut self) -> String {
        match &self.broker {
            Some(broker) => broker.gone().await,
            None => std::future::pending().await,
        }
    }

    async fn stop(&mut self) {
        if let Some(broker) = &mut self.broker {
            broker.stop().await;
        }
    }
}

//! `hilrig certify` on boards: wires boards, brokers and reporters to the runner.

use std::sync::Arc;
use std::time::Duration;

use hilrig::Plan;
use hilrig::certify::{Certification, CertifyBench};
use hilrig_broker::pki::Pki;
use hilrig_broker::{Launcher, Software};
use hilrig_broker::{Login, SERVER_NAME};
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{Case, Requirement};
use hilrig_core::config::{BoardKind, BrokerKind};
use hilrig_core::event::{Events, What};
use hilrig_core::exit;
use hilrig_report::certificate::PolicyWatch;
use time::OffsetDateTime;

use super::ours::{OurBroker, Workshop};
use super::outside::Outside;
use crate::args::CertifyRun;
use crate::ends::RunEnds;
use crate::error::{Failure, say};
use crate::run::{Shown, reporters};
use crate::session::{self, Boards, Loaded, fresh_seed, run_id};
use crate::{bench, load, signals, twins};

/// What `--broker` names.
enum Asked {
    /// These, each where it runs, and what is to be told of that and of those that are not there.
    Ours(Vec<Launcher>, Vec<String>),
    /// One that runs already.
    Outside(Box<Outside>),
}

/// Certifies.
pub async fn run(args: CertifyRun) -> Result<u8, Failure> {
    // Everything that can be refused is refused before anything is touched.
    let cases = cases(&args.cases)?;
    let config = load::config(&args.config.config)?;
    let require = required(&config.require, &args.require)?;
    let boards = Boards {
        callers: false,
        virtual_boards: args.virtual_boards.map(usize::from),
        kind: args.kind.map(BoardKind::from),
        names: &args.board,
    };
    let mut loaded = Loaded::read(config, &boards)?;
    twins::refuse(&loaded.config, &loaded.chosen).await?;
    if loaded.contract.connection.given_up.is_none() {
        return Err(Failure::usage(format!(
            "{}: a board that is refused could not be had back, for the firmware never gives up (connection.given_up)",
            loaded.config.contract.path.display()
        )));
    }
    let now = OffsetDateTime::now_utc();
    let run = run_id(now, &loaded.config.records);
    let deadline = loaded.config.deadlines.broker;
    let asked = asked(&args, loaded.config.broker.kind, &run, deadline).await?;
    let stop = signals::told_to_stop().map_err(Failure::internal)?;

    let seed = args.seed.unwrap_or_else(fresh_seed);
    let (record, run_dir) = loaded.folders(args.record.as_deref(), &run)?;
    let login = Login::random().map_err(Failure::rig)?;
    let mut secrets = std::mem::take(&mut loaded.secrets);
    if let Asked::Outside(outside) = &asked {
        secrets.extend(outside.secrets());
    }
    let secrets = load::secrets(secrets, &login);
    let baseline = loaded.baseline.take();
    let policy = PolicyWatch::default();
    let watch = Box::new(policy.clone());
    let reporters = reporters(&record, &loaded.config, baseline, Vec::new(), Shown::All)?;
    let reporters = reporters.and(watch);
    let reporters = Arc::new(reporters);
    let events = Events::new(reporters.clone(), secrets.clone());
    let ends = RunEnds::new(&events, &reporters);
    let told = loaded.tell_start(&events, &run, now, seed, Vec::new()).await;
    told.map_err(|failure| ends.because(failure))?;

    let deadlines = &loaded.config.deadlines;
    let certified = match &asked {
        Asked::Ours(here, _) => here.len(),
        Asked::Outside(_) => 1,
    };
    let each = u32::try_from((1 + cases.len()) * certified).unwrap_or(u32::MAX);
    let longest = deadlines.run.saturating_add(deadlines.board.saturating_mul(each));
    let workshop = Workshop {
        pki: Arc::new(Pki::lasting(SERVER_NAME, run_dir.path(), longest)),
        dir: run_dir.path().into(),
        listen: loaded.listen(),
        login,
        deadline: loaded.config.deadlines.broker,
        events: events.clone(),
    };
    let brokers = brokers(asked, &workshop, &events);
    let brokers: Vec<&dyn CertifyBench> = brokers.iter().map(AsRef::as_ref).collect();

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
        scenarios: Vec::new(),
        seed,
        deadlines: config.deadlines,
        force_flash: args.flash,
        reason: format!("the certification {run}"),
        listen,
    };
    let record_fault = || reporters.faults().first().map(ToString::to_string);
    let what = Certification {
        plan: &plan,
        brokers: &brokers,
        cases: &cases,
        repeat: args.repeat,
        require: &require,
        events: &events,
    };
    let not_met = || policy.not_met();
    let outcome = hilrig::certify::certify(&what, members, stop, record_fault, not_met).await;
    bench.stop().await;
    drop(run_dir);

    let faults = reporters.finish();
    for fault in &faults {
        say(&Failure::rig(fault));
    }
    Ok(match exit::of(outcome.verdict) {
        exit::PASSED if !faults.is_empty() => exit::RIG_FAULT,
        code => code,
    })
}

fn cases(ids: &[String]) -> Result<Vec<&'static Case>, Failure> {
    if let Some(unknown) = ids.iter().find(|id| Case::named(id).is_none()) {
        return Err(Failure::usage(format!(
            "there is no case `{unknown}`; `hilrig certify --list` prints them"
        )));
    }
    let wanted = |case: &&Case| ids.is_empty() || ids.iter().any(|id| id == case.id);
    Ok(CASES.iter().filter(wanted).collect())
}

/// What the configuration requires, and what the command line adds. Everything that is wrong is reported at once.
fn required(configured: &[Requirement], lists: &[String]) -> Result<Vec<String>, Failure> {
    let mut all = configured.to_vec();
    let mut wrong = Vec::new();
    for list in lists {
        match Requirement::parse_all(list) {
            Ok(more) => {
                for one in more {
                    all.retain(|known| !known.is_about_same(&one));
                    all.push(one);
                }
            }
            Err(found) => wrong.extend(found),
        }
    }
    match wrong.is_empty() {
        true => Ok(all.iter().map(ToString::to_string).collect()),
        false => Err(Failure::usage(format!("--require: {}", wrong.join("\n  --require: ")))),
    }
}

async fn asked(
    args: &CertifyRun,
    kind: BrokerKind,
    run: &str,
    deadline: Duration,
) -> Result<Asked, Failure> {
    if args.ca.is_some() || args.broker.contains(':') {
        return Outside::of(args)?.reach(deadline).await.map(Box::new).map(Asked::Outside);
    }
    if args.broker != "all" {
        let software = Software::named(&args.broker).map_err(|found| {
            Failure::usage(format!("{found}, or all of them: all, or HOST:PORT with --ca"))
        })?;
        let (mut all, mut notes) = (Vec::new(), Vec::new());
        for software in software.with_beside() {
            let chosen = Launcher::choose(software, kind, run, &mut |note| notes.push(note)).await;
            all.push(chosen.map_err(Failure::rig)?);
        }
        return Ok(Asked::Ours(all, notes));
    }
    let (mut here, mut notes) = (Vec::new(), Vec::new());
    for software in Software::all() {
        let software = software.clone();
        match Launcher::choose(software, kind, run, &mut |note| notes.push(note)).await {
            Ok(launcher) => here.push(launcher),
            Err(error) => notes.push(error.to_string()),
        }
    }
    match here.is_empty() {
        true => Err(Failure::rig(format!("there is no broker here: {}", notes.join("; ")))),
        false => Ok(Asked::Ours(here, notes)),
    }
}

fn brokers(asked: Asked, workshop: &Workshop, events: &Events) -> Vec<Box<dyn CertifyBench>> {
    match asked {
        Asked::Outside(outside) => {
            vec![Box::new(outside.at(workshop.listen, workshop.dir.clone(), workshop.deadline))]
        }
        Asked::Ours(here, notes) => {
            for text in notes {
                events.run(What::Note { text });
            }
            let ours = |launcher| Box::new(OurBroker::new(launcher, workshop.clone())) as _;
            here.into_iter().map(ours).collect()
        }
    }
}

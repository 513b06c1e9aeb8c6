//! `hilrig certify` on boards: wires boards, brokers and reporters to the runner.

use std::sync::Arc;
use std::time::Duration;

use hilrig::load::{self, RunInputs};
use hilrig::recorded::{RecordedRun, Recording, RunFolders, RunId, fresh_seed};
use hilrig_broker::pki::Pki;
use hilrig_broker::{BrokerDescription, Launcher, Login, SERVER_NAME};
use hilrig_certify::brokers::{
    CertifiedBroker, Outside, OutsideBroker, OutsideRequest, OwnBroker, Workshop,
};
use hilrig_certify::{Certification, CertifyBench};
use hilrig_core::certify::matrix::CASES;
use hilrig_core::certify::{Case, Requirement};
use hilrig_core::config::BrokerKind;
use hilrig_core::event::{Events, What};
use hilrig_report::TerminalStream;
use hilrig_report::certificate::PolicyWatch;

use crate::args::CertifyRun;
use crate::error::{Failure, say};
use crate::signals;

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
    let mut inputs = RunInputs::read(config, &args.boards.selection(), false)?;
    load::refuse_twins(&inputs.config, &inputs.chosen).await?;
    if inputs.contract.connection.given_up.is_none() {
        return Err(Failure::usage(format!(
            "{}: a board that is refused could not be had back, for the firmware never gives up (connection.given_up)",
            inputs.config.contract.path.display()
        )));
    }
    let deadlines = inputs.config.deadlines;
    let kind = inputs.config.broker.kind;
    let id = RunId::new(&inputs.config.records);
    let asked = asked(&args, kind, id.as_str(), deadlines.broker).await?;
    let stop = signals::stop_request()?;
    let folders = RunFolders::create(&inputs, id, args.record.as_deref())?;

    let seed = args.seed.unwrap_or_else(fresh_seed);
    let login = Login::random().map_err(Failure::rig)?;
    if let Asked::Outside(outside) = &asked {
        inputs.secrets.extend(outside.secrets());
    }
    let policy = PolicyWatch::default();
    let recording = Recording {
        login: &login,
        seed,
        scenarios: Vec::new(),
        reporters: vec![Box::new(policy.clone())],
        terminal: Some(TerminalStream::Stdout),
    };
    let run = RecordedRun::begin(&mut inputs, folders, recording).await?;

    let certified = match &asked {
        Asked::Ours(here, _) => here.len(),
        Asked::Outside(_) => 1,
    };
    let each = u32::try_from((1 + cases.len()) * certified).unwrap_or(u32::MAX);
    let longest = deadlines.run.saturating_add(deadlines.board.saturating_mul(each));
    let dir = run.folders.temporary.path();
    let workshop = Workshop {
        pki: Arc::new(Pki::lasting(SERVER_NAME, dir, longest)),
        dir: dir.into(),
        listen: inputs.listen(),
        login,
        deadline: deadlines.broker,
        events: run.events.clone(),
    };
    let brokers = brokers(asked, &workshop, &run.events);
    let brokers: Vec<&dyn CertifyBench> =
        brokers.iter().map(|one| one as &dyn CertifyBench).collect();

    let mut boards = run.attach(&inputs).await;
    let members = run.members(&mut boards)?;
    let reason = format!("the certification {}", run.folders.id);
    let plan = inputs.into_plan(Vec::new(), seed, args.flash, reason);
    let what = Certification {
        plan: &plan,
        brokers: &brokers,
        cases: &cases,
        repeat: args.repeat,
        require: &require,
        events: &run.events,
    };
    let not_met = || policy.not_met();
    let record_fault = || run.record_fault();
    let stop = stop.requested();
    let outcome = hilrig_certify::certify(&what, members, stop, record_fault, not_met).await;
    boards.stop().await;
    let (code, faults) = run.finish(outcome.verdict);
    for fault in &faults {
        say(&Failure::rig(fault));
    }
    Ok(code)
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
        let outside = Outside::read(outside(args))?.reach(deadline).await?;
        return Ok(Asked::Outside(Box::new(outside)));
    }
    if args.broker != "all" {
        let software = BrokerDescription::named(&args.broker).map_err(|found| {
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
    for software in BrokerDescription::all() {
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

/// A broker that runs already, as the command line describes it.
fn outside(args: &CertifyRun) -> OutsideRequest<'_> {
    OutsideRequest {
        broker: &args.broker,
        ca: args.ca.as_deref(),
        name: args.name.as_deref(),
        login: args.user.as_deref().zip(args.password_file.as_deref()),
        client_certificate: args.client_cert.as_deref().zip(args.client_key.as_deref()),
        allow_load: args.allow_load,
    }
}

fn brokers(asked: Asked, workshop: &Workshop, events: &Events) -> Vec<CertifiedBroker> {
    match asked {
        Asked::Outside(outside) => {
            let Workshop { listen, dir, deadline, .. } = workshop.clone();
            vec![CertifiedBroker::Outside(OutsideBroker::new(*outside, listen, dir, deadline))]
        }
        Asked::Ours(here, notes) => {
            for text in notes {
                events.run(What::Note { text });
            }
            let own = |launcher| CertifiedBroker::Own(OwnBroker::new(launcher, workshop.clone()));
            here.into_iter().map(own).collect()
        }
    }
}

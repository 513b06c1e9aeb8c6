//! A broker's whole matrix on many virtual boards, and whose time it was.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::certificate::Verdict;
use hilrig_core::certify::{Act, Case, CaseResult, Line};
use hilrig_core::contract::Contract;
use hilrig_core::event::{Event, What};
use hilrig_core::exit;
use hilrig_report::{EVENTS, read_events};

use crate::figures::{Figures, Unit};
use crate::place;
use crate::process::{Usage, measured};
use crate::table::{Against, Table, TableRow};

/// How many boards share the matrix.
const BOARDS: u32 = 8;
/// The boards' own part of the time.
const SHARE: f64 = 0.5;

/// A matrix that was gone through.
struct Matrix {
    usage: Usage,
    /// The broker, as it was found.
    broker: String,
    /// Seconds to the first case: the process's start, flashing, the first boot, the first brokers.
    lead: f64,
    /// Cases that were run, by what came of them.
    cases: Vec<CaseResult>,
    /// How many were not.
    left_out: usize,
    /// Each board's time within its cases.
    boards: BTreeMap<String, Times>,
}

/// A board's time within its cases, seconds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Times {
    /// From the case's start to the board's answer to the switch.
    settings: f64,
    /// From there, or from what else restarts it, until it is up in the other mode.
    boots: f64,
    /// How often that was.
    booted: u32,
    /// From being up to its word on how the connection went.
    connections: f64,
    /// Of these, by the wire, from ClientHello to the last Finished.
    handshakes: f64,
    /// From losing a connection to having it again.
    returns: f64,
    /// Answers to requests.
    replies: f64,
    /// Cases that last as long as a limit: from and until, seconds from the run's start.
    limits: Vec<(f64, f64)>,
    /// All of its cases.
    cases: f64,
    /// When the last of its other cases ended, seconds from the run's start.
    until: f64,
}

impl Times {
    /// In which the board was at work, and the rig waited for it.
    fn own(&self) -> f64 {
        self.settings + self.boots + self.connections + self.returns + self.replies
    }

    /// Seconds of the cases that last as long as a limit, up to this moment.
    fn limits(&self, end: f64) -> f64 {
        self.limits.iter().map(|(from, until)| (until.min(end) - from).max(0.0)).sum()
    }

    fn add(&mut self, other: &Times) {
        self.settings += other.settings;
        self.boots += other.boots;
        self.booted += other.booted;
        self.connections += other.connections;
        self.handshakes += other.handshakes;
        self.returns += other.returns;
        self.replies += other.replies;
        self.limits.extend(&other.limits);
        self.cases += other.cases;
        self.until = self.until.max(other.until);
    }
}

/// The table of Mosquitto's matrix.
pub fn certify(hilrig: &Path, contract: &Contract, runs: usize) -> Result<Table, String> {
    let runs = (0..runs).map(|_| Matrix::run(hilrig, contract)).collect::<Result<Vec<_>, _>>()?;
    let of = |figure: &dyn Fn(&Matrix) -> f64| -> Figures { runs.iter().map(figure).collect() };
    let sum = |part: fn(&Times) -> f64| of(&|run| part(&run.sum()));
    let first = runs.first().ok_or("nothing was run")?;
    let not_held = first.cases.iter().filter(|case| case.verdict == Verdict::NotHeld).count();
    let title = format!(
        "The whole matrix on {BOARDS} virtual boards, broker: {}; {} cases run, {not_held} of them failed, {} left out",
        first.broker,
        first.cases.len(),
        first.left_out
    );
    let plain = |what, figures, unit, note| TableRow {
        what,
        figures,
        unit,
        aim: Against::Nothing,
        floor: None,
        note,
    };
    let seconds = |what, figures, note| plain(what, figures, Unit::Seconds, note);
    let mut table = Table::of_rows(title);
    table.row(TableRow {
        floor: Some(of(&Matrix::longest).median()),
        ..seconds("wall time", of(&|run| run.usage.wall), "floor: the longest case alone")
    });
    table.row(seconds("of it before the first case", of(&|run| run.lead), ""));
    table.row(seconds(
        "until limits alone are waited for",
        of(&|run| run.sum().until),
        "from then on boards have nothing to do",
    ));
    table.row(plain("cases", of(&Matrix::rate), Unit::AMinute, ""));
    let all = "over all boards, without the cases that wait for a limit";
    let boots = sum(|times| times.boots);
    table.row(seconds("boots", boots, all));
    table.row(plain("so many", sum(|times| times.booted.into()), Unit::Times, ""));
    table.row(seconds("connections", sum(|times| times.connections), all));
    table.row(seconds(
        "of them handshakes",
        sum(|times| times.handshakes),
        "by the wire, from ClientHello to the last Finished; one that was refused has none, and of many connections in a case the relay keeps the first ones and the last",
    ));
    table.row(seconds(
        "coming back after a cut",
        sum(|times| times.returns),
        "the firmware waits a second before it tries again",
    ));
    table.row(seconds(
        "taking the settings",
        sum(|times| times.settings),
        "CA, client certificate and form over HTTP; the relay's start is in it",
    ));
    table.row(seconds("answering requests", sum(|times| times.replies), ""));
    table.row(TableRow {
        aim: Against::AtLeast(SHARE),
        ..plain(
            "the boards' own share",
            of(&|run| run.sum().own() / run.time()),
            Unit::Share,
            "all of the above, of the boards' time up to the end of the last case that does not wait for a limit, without those that do",
        )
    });
    table.row(plain(
        "of boards x wall time",
        of(&|run| run.sum().own() / run.all()),
        Unit::Share,
        "boards for which nothing is left while a limit is waited for are in it",
    ));
    table.row(plain(
        "boots and handshakes alone",
        of(&|run| (run.sum().boots + run.sum().connections) / run.time()),
        Unit::Share,
        "of the time of the boards' own share",
    ));
    table.row(plain(
        "the same on the last board",
        of(&Matrix::last),
        Unit::Share,
        "of the board whose last case ends last: what is its own of the time until then, without its cases that wait for a limit",
    ));
    table.row(seconds(
        "waiting for a limit",
        sum(|times| times.limits(f64::MAX)),
        "stalled, mqtt-keep-alive, slow-line: as long as the broker or the line has it, whatever board and rig do",
    ));
    table.row(seconds(
        "the rig's part of the cases",
        of(&|run| run.sum().cases - run.sum().limits(f64::MAX) - run.sum().own()),
        "mostly its own clients, rustls and OpenSSL, which meet the same set-up, and at MQTT's level",
    ));
    table.row(seconds(
        "outside of cases",
        of(&|run| run.all() - run.sum().cases),
        "start, flashing, brokers that start and stop, and boards for which nothing is left",
    ));
    table.row(seconds("CPU of the rig", of(&|run| run.usage.cpu), ""));
    table.row(seconds(
        "CPU of QEMU, Mosquitto, OpenSSL",
        of(&|run| run.usage.children),
        "children that were waited for",
    ));
    table.row(plain(
        "all of the machine's CPU",
        of(&|run| (run.usage.cpu + run.usage.children) / run.usage.wall / cores()),
        Unit::Share,
        "near 1 the boards wait for each other's CPU, and their time above is longer by it",
    ));
    Ok(table)
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

impl Matrix {
    fn run(hilrig: &Path, contract: &Contract) -> Result<Matrix, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
        let record = dir.path().join("record");
        let mut command = Command::new(hilrig);
        command.current_dir(place::workspace());
        command.args(["certify", "--broker", "mosquitto", "--virtual", &BOARDS.to_string()]);
        let usage = measured(command.arg("--record").arg(&record))
            .map_err(|error| format!("running hilrig: {error}"))?;
        let events = read_events(&record.join(EVENTS)).map_err(|error| error.to_string())?.events;
        let ended = events.iter().filter_map(|event| match &event.what {
            What::CaseEnded(ended) => Some(&ended.result),
            _ => None,
        });
        let (not_run, cases): (Vec<_>, Vec<_>) =
            ended.cloned().partition(|case| case.verdict == Verdict::NotRun);
        // A case that does not hold took its time all the same.
        let code = usage.code.and_then(|code| u8::try_from(code).ok());
        if !matches!(code, Some(exit::PASSED | exit::BOARD_FAILED)) || cases.is_empty() {
            return Err(format!(
                "`hilrig certify` ended with {:?}, {} cases run and {} not: {}",
                usage.code,
                cases.len(),
                not_run.len(),
                usage.stderr.trim()
            ));
        }
        let broker = events.iter().find_map(|event| match &event.what {
            What::BrokerReady(facts) => {
                Some(format!("{} {} ({})", facts.software, facts.version, facts.kind))
            }
            _ => None,
        });
        let first = |event: &&Event| matches!(event.what, What::CaseStarted { .. });
        let lead = events.iter().find(first).map_or(f64::NAN, |event| event.at);
        let broker = broker.unwrap_or_default();
        let (left_out, boards) = (not_run.len(), times(&events, contract));
        Ok(Matrix { usage, broker, lead, cases, left_out, boards })
    }

    fn sum(&self) -> Times {
        let mut sum = Times::default();
        self.boards.values().for_each(|times| sum.add(times));
        sum
    }

    /// Seconds of all boards that could have been theirs: until nothing but limits is waited for.
    fn time(&self) -> f64 {
        let sum = self.sum();
        f64::from(BOARDS) * sum.until - sum.limits(sum.until)
    }

    fn all(&self) -> f64 {
        f64::from(BOARDS) * self.usage.wall
    }

    fn longest(&self) -> f64 {
        self.cases.iter().map(|case| case.seconds).fold(0.0, f64::max)
    }

    fn rate(&self) -> f64 {
        self.cases.len() as f64 / self.usage.wall * 60.0
    }

    /// The own part of the board that was ready last.
    fn last(&self) -> f64 {
        let last = self.boards.values().max_by(|a, b| a.until.total_cmp(&b.until));
        last.map_or(f64::NAN, |times| times.own() / (times.until - times.limits(times.until)))
    }
}

/// It lasts as long as a limit of the broker's or the line's does.
fn waits_for_a_limit(id: &str) -> bool {
    Case::named(id).is_some_and(|case| {
        matches!(case.act, Act::Stall | Act::Mqtt(Behaviour::KeepAlive))
            || matches!(case.line, Line::Delay(_))
    })
}

/// What a board is at, and since when.
#[derive(Clone, Copy)]
enum At {
    Settings(f64),
    Booting(f64),
    Connecting(f64),
    Connected(f64),
    /// In configuration mode at the end of a case: what goes on is the rig's.
    Ready,
}

/// A board in one of its cases.
struct InCase<'a> {
    id: &'a str,
    since: f64,
    at: At,
}

/// Each board's time within its cases.
fn times(events: &[Event], contract: &Contract) -> BTreeMap<String, Times> {
    let mut boards = BTreeMap::<String, Times>::new();
    let mut under_way = BTreeMap::<&str, InCase<'_>>::new();
    for event in events {
        let now = event.at;
        if let What::CaseEnded(ended) = &event.what {
            // A case that was measured without a board was in a board's hands all the same.
            let of = under_way.iter().find(|(_, case)| case.id == ended.result.id);
            let Some((&board, _)) = of else { continue };
            let Some(case) = under_way.remove(board) else { continue };
            let times = boards.entry(board.into()).or_default();
            times.ended(&case, &ended.result, now);
            continue;
        }
        let Some(board) = event.board.as_deref() else { continue };
        if let What::CaseStarted { id, .. } = &event.what {
            under_way.insert(board, InCase { id, since: now, at: At::Settings(now) });
        } else if let Some(case) = under_way.get_mut(board)
            && !waits_for_a_limit(case.id)
        {
            let times = boards.entry(board.into()).or_default();
            case.at = times.took(case.at, &event.what, now, contract);
        }
    }
    boards
}

impl Times {
    fn ended(&mut self, case: &InCase<'_>, result: &CaseResult, now: f64) {
        self.cases += now - case.since;
        match waits_for_a_limit(case.id) {
            true => self.limits.push((case.since, now)),
            false => {
                self.until = now;
                let wire = result.evidence.wire.iter();
                self.handshakes += wire.filter_map(|wire| wire.handshake_seconds).sum::<f64>();
            }
        }
    }

    /// Counts what a board did until `now`, and notes what it does from here on.
    fn took(&mut self, at: At, what: &What, now: f64, contract: &Contract) -> At {
        match (what, at) {
            (What::Reply { over, .. }, At::Settings(since)) if over == "http" => {
                self.settings += now - since;
                At::Booting(now)
            }
            (What::Reply { seconds, .. }, At::Connected(since)) => {
                self.replies += seconds.min(now - since);
                At::Connected(now)
            }
            (What::ChipStart(_), At::Connecting(since) | At::Connected(since)) => {
                At::Booting(since)
            }
            (What::ChipStart(_), At::Ready) => At::Booting(now),
            (What::LogLine { text, .. }, at) => self.said(at, text, now, contract),
            _ => at,
        }
    }

    fn said(&mut self, at: At, text: &str, now: f64, contract: &Contract) -> At {
        let connection = &contract.connection;
        let up = [&contract.mqtt, &contract.configuration];
        let [mqtt, configuration] = up.map(|lines| lines.last().is_some_and(|l| l.is_match(text)));
        let connected = connection.connected.is_match(text);
        let given_up = connection.given_up.as_ref().is_some_and(|line| line.is_match(text));
        let failed = given_up || connection.failed.is_match(text);
        match at {
            At::Booting(since) if mqtt => {
                self.booted(since, now);
                At::Connecting(now)
            }
            At::Booting(since) if configuration => {
                self.booted(since, now);
                At::Ready
            }
            At::Connecting(since) if connected || failed => {
                self.connections += now - since;
                match (connected, given_up) {
                    (true, _) => At::Connected(now),
                    (false, true) => At::Booting(now),
                    (false, false) => At::Connecting(now),
                }
            }
            At::Connected(since) if connected || failed => {
                self.returns += now - since;
                At::Connected(now)
            }
            at => at,
        }
    }

    fn booted(&mut self, since: f64, now: f64) {
        self.boots += now - since;
        self.booted += 1;
    }
}

#[cfg(test)]
mod tests {
    use hilrig_core::start::ChipStart;

    use super::*;

    #[test]
    fn each_moment_of_a_case_is_accounted_for() {
        let event = |at: f64, what: What| Event { at, board: Some("b".into()), what };
        let line = |at, text: &str| event(at, What::LogLine { line: 1, text: text.into() });
        let reply = |at, over: &str, seconds| {
            let (request, reply) = (String::new(), String::new());
            event(at, What::Reply { over: over.into(), request, reply, seconds })
        };
        let started = What::CaseStarted { broker: "m".into(), id: "control".into() };
        let restart = ChipStart {
            line: 1,
            rst_cause: 4,
            reset: String::new(),
            boot_mode: Vec::new(),
            boots: String::new(),
        };
        let events = [
            event(1.0, started),
            reply(1.5, "http", 0.25),
            line(2.0, "ESP8266 Mode: MQTT Client Running"),
            line(4.0, "Attempting MQTT connection...connected"),
            reply(5.0, "mqtt", 0.125),
            line(6.0, "Attempting MQTT connection...connected"),
            reply(7.0, "mqtt", 0.125),
            event(8.0, What::ChipStart(restart)),
            line(9.0, "ESP8266 Mode: Web Server Running - Type = SDK API"),
            line(10.0, "Attempting MQTT connection...connected"),
        ];
        let contract = crate::run::contract().unwrap();
        let times = times(&events, &contract).remove("b").unwrap();
        let known = Times {
            settings: 0.5,
            boots: 2.5,
            booted: 2,
            connections: 2.0,
            returns: 1.0,
            replies: 0.25,
            ..Times::default()
        };
        assert_eq!(times, known);
    }
}

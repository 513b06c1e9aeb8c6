//! Streams of events for the tests.

use std::sync::{Arc, Mutex};

use hilrig_core::callers::{HeapCaller, HeapCallers};
use hilrig_core::certify::certificate::Verdict as CaseVerdict;
use hilrig_core::certify::{CaseEnded, CertifyEnded, CertifyStarted, Outcome};
use hilrig_core::check::{Check, CheckOutcome};
use hilrig_core::crash::{Crash, CrashKind, FailedAlloc, Frame, Hex, Role};
use hilrig_core::event::{BoardFacts, BrokerFacts, Event, FirmwareFacts, RunStarted, SCHEMA, What};
use hilrig_core::heap::{HeapPhase, HeapRead, HeapSample, HeapSource, StackUse};
use hilrig_core::mac::Mac;
use hilrig_core::phase::{Phase, PhaseOutcome};
use hilrig_core::scenario::{ScenarioFound, SlopeFound};
use hilrig_core::sections::{Holds, Section};
use hilrig_core::start::ChipStart;
use hilrig_core::verdict::Verdict;
use hilrig_report::Reporter;

/// Cases and certificates, which the library's own tests use, too.
#[path = "../../src/certificate/sample.rs"]
pub mod certificate;

/// A stream in the making, with a clock that moves as it is told.
pub struct Stream {
    pub events: Vec<Event>,
    at: f64,
}

impl Stream {
    pub fn of(boards: &[&str]) -> Stream {
        let mut stream = Stream { events: Vec::new(), at: 0.0 };
        stream.run(What::RunStarted(RunStarted {
            schema: SCHEMA,
            hilrig: "0.1.0".into(),
            run: "20261122-100000-1a2b".into(),
            started: "2026-11-22T10:00:00Z".into(),
            seed: 42,
            commit: Some("0123456789ab".into()),
            firmware: vec![FirmwareFacts {
                kind: "virtual".into(),
                image: "target/firmware/virtual.bin".into(),
                bytes: 204_800,
                sha256: "9f".repeat(32),
                build: Some("0.1.0+9f9f9f9f".into()),
                keeps_callers: false,
                sections: [
                    (".data", Holds::Data, 144),
                    (".bss", Holds::Bss, 2_096),
                    (".irom0.text", Holds::Code, 173_984),
                ]
                .map(|(name, holds, bytes)| Section { name: name.into(), holds, bytes })
                .into(),
                floors: Default::default(),
            }],
            settings: [("tls_mfl".to_owned(), "512".to_owned())].into(),
            scenarios: vec!["handshake:20".into()],
            floors: [(HeapPhase::Handshake, 20_480)].into(),
            boards: boards.iter().map(|name| (*name).to_owned()).collect(),
        }));
        stream
    }

    pub fn after(&mut self, seconds: f64) -> &mut Stream {
        self.at = ((self.at + seconds) * 1e6).round() / 1e6;
        self
    }

    pub fn run(&mut self, what: What) -> &mut Stream {
        self.events.push(Event { at: self.at, board: None, what });
        self
    }

    pub fn board(&mut self, name: &str, what: What) -> &mut Stream {
        self.events.push(Event { at: self.at, board: Some(name.into()), what });
        self
    }

    pub fn broker(&mut self) -> &mut Stream {
        self.after(0.412).run(What::BrokerReady(BrokerFacts {
            kind: "container".into(),
            software: "mosquitto".into(),
            version: "2.0.11".into(),
            from: "hilrig/mosquitto:2.0.11".into(),
            tls: Some("TLS 1.2 or later, EC P-256".into()),
            port: 41_883,
            seconds: 0.411_5,
        }))
    }

    pub fn begin(&mut self, name: &str, number: u8) -> &mut Stream {
        self.after(0.001).board(
            name,
            What::BoardStarted(BoardFacts {
                kind: "virtual".into(),
                port: format!("/dev/pts/{number}"),
                mac: Some(Mac([0x18, 0xfe, 0x34, 0, 0, number])),
            }),
        )
    }

    pub fn phase(&mut self, name: &str, phase: Phase, seconds: f64) -> &mut Stream {
        self.board(name, What::PhaseStarted { phase });
        self.after(seconds).done(name, phase, seconds)
    }

    fn done(&mut self, name: &str, phase: Phase, seconds: f64) -> &mut Stream {
        let (outcome, waited) = (PhaseOutcome::Done, seconds / 2.0);
        self.board(name, What::PhaseEnded { phase, outcome, seconds, waited, why: None })
    }

    pub fn stopped(
        &mut self,
        name: &str,
        phase: Phase,
        outcome: PhaseOutcome,
        why: &str,
    ) -> &mut Stream {
        self.board(name, What::PhaseStarted { phase });
        self.after(1.5).board(
            name,
            What::PhaseEnded { phase, outcome, seconds: 1.5, waited: 1.5, why: Some(why.into()) },
        )
    }

    pub fn heap(&mut self, name: &str, phase: HeapPhase, lowest_free: u64) -> &mut Stream {
        self.board(
            name,
            What::Heap(HeapSample {
                phase,
                lowest_free,
                free: Some(lowest_free + 1000),
                lowest_ever: Some(lowest_free),
                largest: Some(lowest_free / 2),
                fragmentation: Some(12),
                failures: Some(0),
                stack: Some(StackUse { used: 5_504, size: 12_272 }),
                source: HeapSource::Log,
            }),
        )
    }

    /// The end of a broker's certification.
    pub fn certified(&mut self, broker: &str) -> &mut Stream {
        self.run(What::CertifyEnded(Box::new(CertifyEnded {
            broker: broker.into(),
            facts: certificate::broker(),
            tls_library: Some("OpenSSL 3.0.17".into()),
            device: certificate::device(),
        })))
    }

    pub fn check(&mut self, name: &str, check: Check) -> &mut Stream {
        self.board(name, What::Check(check))
    }

    pub fn end(&mut self, name: &str, verdict: Verdict, why: Option<&str>) -> &mut Stream {
        let began = self.events.iter().find(|event| event.board.as_deref() == Some(name));
        let seconds = began.map_or(0.0, |event| self.at - event.at);
        let why = why.map(str::to_owned);
        self.board(name, What::BoardEnded { verdict, seconds, why })
    }

    pub fn over(&mut self, verdict: Verdict, exit_code: u8, why: Option<&str>) -> &mut Stream {
        let (seconds, why) = (self.at, why.map(str::to_owned));
        self.run(What::RunEnded { verdict, exit_code, seconds, why })
    }

    /// A board that walks the whole path and passes.
    pub fn passes(&mut self, name: &str, number: u8) -> &mut Stream {
        self.begin(name, number).phase(name, Phase::Lock, 0.000_4);
        self.board(name, What::PhaseStarted { phase: Phase::Flash });
        for written in [65_536, 131_072, 204_800] {
            self.after(0.02).board(name, What::FlashProgress { written, total: 204_800 });
        }
        let (verified, baud) = (None, Some(460_800));
        let flashed = What::Flashed { bytes: 204_800, seconds: 0.06, kept: false, verified, baud };
        self.board(name, flashed);
        self.after(0.001).done(name, Phase::Flash, 0.061);
        self.board(
            name,
            What::ChipStart(ChipStart {
                line: 2,
                rst_cause: 2,
                reset: "reset pin or software restart".into(),
                boot_mode: vec![3, 6],
                boots: "flash".into(),
            }),
        );
        let line = What::LogLine { line: 3, text: "ESP8266 IP: 10.0.2.15".into() };
        self.board(name, line).phase(name, Phase::Boot, 0.093);
        self.heap(name, HeapPhase::Boot, 51_288);
        let held = Check::of("boot_log.ip", "the boot log tells the address", true, "10.0.2.15");
        self.check(name, held.at_line(3));
        let reply = What::Reply {
            over: "http".into(),
            request: "GetSensors".into(),
            reply: "SYS_Heap=51000;".into(),
            seconds: 0.004,
        };
        self.board(name, reply);
        self.heap(name, HeapPhase::Page, 48_104).phase(name, Phase::Configuration, 0.05);
        self.phase(name, Phase::Refusal, 0.4);
        self.heap(name, HeapPhase::Handshake, 22_480).phase(name, Phase::Switch, 0.3);
        self.heap(name, HeapPhase::Connected, 39_960).phase(name, Phase::Mqtt, 0.08);
        self.phase(name, Phase::SwitchBack, 0.1);
        self.end(name, Verdict::Passed, None)
    }
}

/// A crash with all that one can have.
pub fn crash() -> Crash {
    let frame = |role, address, function: &str, place: Option<(&str, u32)>| Frame {
        role,
        address: Hex(address),
        function: Some(function.into()),
        file: place.map(|(file, _)| file.into()),
        line: place.map(|(_, line)| line),
        inlined: false,
    };
    Crash {
        kind: CrashKind::Exception,
        line: 131,
        cause: Some(29),
        cause_words: "write to an address that must not be written: a null pointer, most likely of an allocation that failed and was not checked".into(),
        epc1: Some(Hex(0x4021_0020)),
        epc2: Some(Hex(0)),
        epc3: Some(Hex(0)),
        excvaddr: Some(Hex(4)),
        depc: Some(Hex(0)),
        failed_alloc: Some(FailedAlloc { caller: Hex(0x4021_0027), bytes: 1460 }),
        rst_cause: Some(2),
        boot_mode: Some(vec![3, 6]),
        cut: false,
        frames: vec![
            frame(Role::Epc1, 0x4021_0020, "Net::loop()", Some(("src/net.cpp", 10))),
            frame(Role::Stack, 0x4021_0033, "app_main", Some(("src/main.cpp", 131))),
            frame(Role::FailedAlloc, 0x4021_0027, "Net::loop()", Some(("src/net.cpp", 12))),
        ],
        evidence: Vec::new(),
        task: None,
        panic: None,
        registers: std::collections::BTreeMap::new(),
        damaged: Vec::new(),
        note: None,
    }
}

/// Who held the heap at a handshake's lowest point.
pub fn callers() -> HeapCallers {
    let caller = |function: &str, file: &str, line, bytes| HeapCaller {
        address: Some(Hex(0x4021_49b8)),
        bytes,
        blocks: 1,
        function: Some(function.into()),
        file: Some(format!("firmware/core/{file}")),
        line: Some(line),
    };
    HeapCallers {
        phase: HeapPhase::Handshake,
        lowest_free: 19_000,
        heap: Some(51_920),
        callers: vec![
            caller("prepare", "tls.c", 115, 16_720),
            caller("tls_start", "tls.c", 145, 16_184),
            HeapCaller {
                address: None,
                bytes: 16,
                blocks: 2,
                function: None,
                file: None,
                line: None,
            },
        ],
    }
}

/// One of each verdict, with every kind of event in it.
pub fn mixed() -> Stream {
    let mut stream = Stream::of(&["v1", "bench-left", "v3", "v4"]);
    stream.run(What::Note { text: "swept container 4f2a of a killed run".into() });
    stream.broker().passes("v1", 1);

    let name = "bench-left";
    stream.begin(name, 2).phase(name, Phase::Lock, 0.001);
    let kept = What::Flashed { bytes: 0, seconds: 0.0, kept: true, verified: None, baud: None };
    stream.board(name, What::PhaseStarted { phase: Phase::Flash }).board(name, kept);
    stream.after(0.002).done(name, Phase::Flash, 0.002).phase(name, Phase::Boot, 0.1);
    stream.heap(name, HeapPhase::Boot, 51_000).heap(name, HeapPhase::Handshake, 19_000);
    let read = HeapRead { free: 51_200, lowest_ever: 19_000, failures: Some(0) };
    stream.board(name, What::HeapRead(read));
    stream.board(name, What::HeapCallers(callers()));
    let text = "the page, 3177 B".into();
    let step = What::Step { scenario: "page".into(), step: 1, of: Some(21), text, seconds: 0.005 };
    stream.board(name, step);
    let found = ScenarioFound {
        scenario: "page".into(),
        steps: 20,
        outcome: CheckOutcome::Held,
        first_free: Some(50_712),
        last_free: Some(50_712),
        samples: 20,
        stopped: None,
        slopes: vec![SlopeFound { each: "request".into(), slope: 0.0, low: -1.5, high: 0.5 }],
    };
    stream.board(name, What::Scenario(found));
    let title = "lowest free heap in the handshake is at least 20480 B";
    stream.check(name, Check::of("heap.handshake", title, false, "19000 B").at_line(120));
    let title = "lowest free heap while connected is at least 30000 B";
    stream.check(name, Check::not_measured("heap.connected", title, "the board never connected"));
    stream.board(name, What::Crash(crash()));
    let found = crash().in_a_line();
    let check = Check::of("crash", "no crash in the boot log", false, found.as_str());
    stream.check(name, check.at_line(131));
    let why = format!("the board crashed, line 131 of its boot log: {found}");
    stream.stopped(name, Phase::Switch, PhaseOutcome::Failed, &why);
    stream.end(name, Verdict::Failed, Some(&why));

    let why = "opening /dev/ttyUSB0: No such file or directory. Is the board plugged in?";
    stream.begin("v3", 3).stopped("v3", Phase::Lock, PhaseOutcome::RigFault, why);
    stream.end("v3", Verdict::RigFault, Some(why));
    stream.end("v4", Verdict::Skipped, Some("skip = \"on loan\" in the configuration"));
    stream.run(What::CertifyStarted(CertifyStarted {
        broker: "mosquitto".into(),
        cases: 1,
        repeat: 1,
        require: Vec::new(),
    }));
    let (broker, id) = ("mosquitto".to_owned(), "tls13-only".to_owned());
    stream.board("v1", What::CaseStarted { broker: broker.clone(), id });
    let result = certificate::case("tls13-only", Outcome::Refused, CaseVerdict::Held);
    stream.after(0.9).board("v1", What::CaseEnded(Box::new(CaseEnded { broker, result })));
    stream.certified("mosquitto");
    stream.run(What::BrokerLost { found: "connection reset by peer".into() });
    stream.over(Verdict::Failed, 100, None);
    stream
}

/// A run that certifies a broker, with cases of every kind.
pub fn certified() -> Stream {
    let mut stream = Stream::of(&["v1"]);
    stream.begin("v1", 1);
    certify(&mut stream, "mosquitto");
    stream.end("v1", Verdict::Passed, None);
    stream.over(Verdict::Failed, 100, Some("1 case did not hold"));
    stream
}

/// The certification of one broker, its cases told out of order.
pub fn certify(stream: &mut Stream, broker: &str) {
    let cases = certificate::cases();
    let (broker, count) = (broker.to_owned(), cases.len() as u32);
    stream.run(What::CertifyStarted(CertifyStarted {
        broker: broker.clone(),
        cases: count,
        repeat: 1,
        require: Vec::new(),
    }));
    for result in cases.into_iter().rev() {
        let started = What::CaseStarted { broker: broker.clone(), id: result.id.clone() };
        let ended = What::CaseEnded(Box::new(CaseEnded { broker: broker.clone(), result }));
        stream.board("v1", started).after(1.5).board("v1", ended);
    }
    stream.certified(&broker);
}

/// Gives an event's kind. Adding one to core breaks this, and with it comes the reminder to
/// document and to sample it.
pub fn kind(what: &What) -> &'static str {
    match what {
        What::RunStarted(_) => "run_started",
        What::Note { .. } => "note",
        What::BrokerReady(_) => "broker_ready",
        What::BrokerLost { .. } => "broker_lost",
        What::BoardStarted(_) => "board_started",
        What::PhaseStarted { .. } => "phase_started",
        What::FlashProgress { .. } => "flash_progress",
        What::Flashed { .. } => "flashed",
        What::LogLine { .. } => "log_line",
        What::ChipStart(_) => "chip_start",
        What::Crash(_) => "crash",
        What::Reply { .. } => "reply",
        What::Step { .. } => "step",
        What::Scenario(_) => "scenario",
        What::Heap(_) => "heap",
        What::HeapRead(_) => "heap_read",
        What::HeapCallers(_) => "heap_callers",
        What::Check(_) => "check",
        What::PhaseEnded { .. } => "phase_ended",
        What::BoardEnded { .. } => "board_ended",
        What::CertifyStarted(_) => "certify_started",
        What::CaseStarted { .. } => "case_started",
        What::CaseEnded(_) => "case_ended",
        What::CertifyEnded(_) => "certify_ended",
        What::RunEnded { .. } => "run_ended",
    }
}

/// The number of arms in [`kind`].
pub const KINDS: usize = 25;

/// A place to write to that the test can look into.
#[derive(Clone, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What stands in a file after a reporter took the whole stream.
pub fn written(
    events: &[Event],
    make: impl FnOnce(&std::path::Path) -> Box<dyn Reporter>,
) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    hilrig_report::replay(events, make(&path).as_mut()).unwrap();
    std::fs::read_to_string(&path).unwrap()
}

mod generated;

use super::{AHEAD, Prefixes};
use crate::Decoder;
use crate::finding::{Finding, Kind, Role};

fn decode(log: &str) -> Vec<Finding> {
    decode_bytes(log.as_bytes())
}

fn decode_bytes(log: &[u8]) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut decoder = Decoder::default();
    decoder.feed(log, |finding| all.push(finding));
    decoder.finish(|finding| all.push(finding));
    all
}

/// As a run reads it: lines with a sign, and others in blocks.
fn live(log: &str) -> Vec<Finding> {
    crate::live::tests::all_of(log.as_bytes())
}

const REGISTERS: &str =
    "epc1=0x40203a1d epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000";
const STACK: &str = "\n>>>stack>>>\n\nctx: cont\nsp: 3ffffe00 end: 3fffffd0 offset: 0190\n\
3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f  \n\
3fffffa0:  feefeffe feefeffe 3ffe3fd0 4020115d  \n<<<stack<<<\n";
const ROM: &str = "\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n\nload 0x4010f000, len 3456, room 16 \ntail 0\n";

/// A dump of each kind, with text around it.
pub fn dumps() -> Vec<String> {
    let cut = "\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n";
    let sdk = REGISTERS.replace(' ', ", ");
    let esp32 = "\
Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.

Core  0 register dump:
PC      : 0x400d0c4b  PS      : 0x00060530  A0      : 0x800d1e8e  A1      : 0x3ffb1f60
A2      : 0x00000000  A3      : 0x3ffb1f60  A4      : 0x00000001  A5      : 0x3ffb1f60
EXCCAUSE: 0x0000001c  EXCVADDR: 0x00000000  LBEG    : 0x4000c46c  LEND    : 0x4000c477

Backtrace: 0x400d0c48:0x3ffb1f60 0x400d1e8b:0x3ffb1f80

Rebooting...
rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)
";
    let riscv = "\
Guru Meditation Error: Core  0 panic'ed (Load access fault). Exception was unhandled.

Core  0 register dump:
MEPC    : 0x4200a1e6  RA      : 0x42003f5c  SP      : 0x40818a0b  GP      : 0x40809b14
MSTATUS : 0x00004092  MTVEC   : 0x40806540  MCAUSE  : 0x00000005  MTVAL   : 0x00000008
";
    let abort = "abort() was called at PC 0x400d1234 on core 1\n\n\
                 Backtrace: 0x400d0c48:0x3ffb1f60 0x400d1e8b:0x3ffb1f80\n";
    let rust = "\
====================== PANIC ======================
panicked at src/main.rs:41:9:
called `Option::unwrap()` on a `None` value

Backtrace:

0x420035d7
0x420082d8
";
    let zephyr = "\
***** MPU FAULT *****
  Data Access Violation
  MMFAR Address: 0x8
r0/a1:  0x00000003  r1/a2:  0x20000100  r2/a3:  0x00000000
r3/a4:  0x00000000 r12/ip:  0x00000000 r14/lr:  0x000012b3
 xpsr:  0x61000000
Faulting instruction address (r15/pc): 0x000012c4
>>> ZEPHYR FATAL ERROR 19: Unknown error on CPU 0
Current thread: 0x20000200 (net_worker)
Halting system
";
    let canary = esp32
        .replace("(LoadProhibited). Exception was unhandled.", "(Unhandled debug exception). \nDebug exception reason: Stack canary watchpoint triggered (net_worker) ");
    [
        format!("{rust}\n{ROM}"),
        zephyr.to_owned(),
        canary,
        format!("{cut}\nException (29):\n{REGISTERS}\n{STACK}{cut}{ROM}"),
        format!("Exception (28):\n{REGISTERS}\n{STACK}\nlast failed alloc call: 40202B94(2048)\n{ROM}"),
        format!("\nSoft WDT reset\n{STACK}{ROM}"),
        format!("Fatal exception (28):\n{sdk}\n{ROM}"),
        format!("User exception (panic/abort/assert)\nAbort called\n{STACK}{ROM}"),
        format!("Panic core_main.cpp:98 loop: Assertion 'x' failed.\n{STACK}"),
        format!("Stack smashing detected at 0x40201f23\n{STACK}"),
        format!("{REGISTERS}\n{STACK}{ROM}"),
        STACK.to_owned(),
        ROM.replace("cause:2", "cause:4"),
        esp32.to_owned(),
        riscv.to_owned(),
        abort.to_owned(),
        abort.replace("\n\n", "\nGuru Meditation Error: Core  1 panic'ed (abort)\n\n"),
    ]
    .map(|dump| format!("Mode: station, joining\nMode: station, joined\n{dump}Mode: station, joining\nsetup done\n"))
    .to_vec()
}

type Tool = fn(usize, &str) -> String;

/// What tools make of line `n` of a log.
const TOOLS: [(&str, Tool); 59] = [
    ("pytest-embedded", |n, line| format!("2026-11-30 02:14:{:02} [dut-0] {line}\n", n % 60)),
    ("dut alone", |_, line| format!("[dut-0] {line}\n")),
    ("gh run view", |n, line| {
        format!("bench\tRun the boards\t2026-11-30T02:14:09.{n:07}Z {line}\n")
    }),
    ("gh, unknown step", |n, line| {
        format!("test (esp8266, 1)\tUNKNOWN STEP\t2026-11-30T02:14:09.{n:07}Z {line}\n")
    }),
    ("syslog", |n, line| format!("Nov 30 02:14:{n:02} farm-3 bench: {line}#015\n")),
    ("syslog with a pid", |n, line| {
        format!("<13>1 2026-11-30T02:14:{n:02}.5+01:00 farm-3 bench 881 - - {line}#015\n")
    }),
    ("journalctl", |n, line| format!("Dec 01 02:14:{n:02} farm-3 bench[90{n}]: {line}\n")),
    ("over the end of a month", |n, line| {
        format!(
            "{} farm-3 bench: {line}\n",
            if n < 6 { "Nov 30 23:59:59" } else { "Dec  1 00:00:00" }
        )
    }),
    ("ts", |n, line| format!("Dec 01 02:14:{n:02} {line}\n")),
    ("ts -s", |n, line| format!("00:0{}:{:02} {line}\n", n / 60, n % 60)),
    ("ts %.s", |n, line| format!("{}.{n:06} {line}\n", 1_764_555_249 + n)),
    ("GitLab", |n, line| format!("2026-11-30T02:14:09.{n:06}Z 01O {line}\n")),
    ("GitLab, both outputs", |n, line| {
        format!("2026-11-30T02:14:09.{n:06}Z 0{}{} {line}\n", n % 2, ["O", "E"][n % 2])
    }),
    ("docker compose", |_, line| format!("bench-1  | {line}\n")),
    ("docker compose, with time", |n, line| {
        format!("bench-1  | 2026-11-30T02:14:09.{n}Z {line}\n")
    }),
    ("grep -n", |n, line| format!("{}:{line}\n", n + 8)),
    ("grep -n of files", |n, line| format!("logs/board.log:{}:{line}\n", n + 98)),
    ("grep -n of files, context", |n, line| {
        format!("board.log{0}{1}{0}{line}\n", if n % 3 == 0 { ':' } else { '-' }, n + 98)
    }),
    ("cat -n", |n, line| format!("{:6}\t{line}\n", n + 8)),
    ("day first", |n, line| format!("01/12/2026 02:14:{n:02} {line}\n")),
    ("day and month names", |n, line| format!("Tue Dec  1 02:14:{n:02} 2026 {line}\n")),
    ("name after the day", |n, line| format!("1 Dec 2026 02:14:{n:02}.5 {line}\n")),
    ("year after the day", |n, line| format!("Dec  1 2026 02:14:{n:02} {line}\n")),
    ("AM/PM", |n, line| {
        format!(
            "12/1/2026 {}:59:{n:02} {} {line}\n",
            if n < 7 { 11 } else { 12 },
            if n < 7 { "AM" } else { "PM" }
        )
    }),
    ("AM/PM in brackets", |n, line| format!("[12/1/26, 2:14:{n:02} PM] {line}\n")),
    ("milliseconds", |n, line| format!("{} {line}\n", 990 + n)),
    ("milliseconds in brackets", |n, line| format!("[{}] {line}\n", 990 + n)),
    ("padded milliseconds", |n, line| format!("[{:8}] {line}\n", 9_990 + n)),
    ("milliseconds in round brackets", |n, line| format!("({}) {line}\n", 95 + n)),
    ("milliseconds that look like a word of a stack", |n, line| {
        format!("{} {line}\n", 40_201_990 + n)
    }),
    ("epoch in brackets", |n, line| format!("[1764555249.{n:03}] {line}\n")),
    ("Tasmota", |n, line| format!("00:00:01.{:03}-025 {line}\n", n + 1)),
    ("Tasmota, with its tag", |n, line| format!("00:00:01.{:03} RSL: {line}\n", n + 1)),
    ("a port", |_, line| format!("/dev/ttyUSB0: {line}\n")),
    ("a port of Windows", |_, line| format!("COM3 {line}\n")),
    ("a port and a time", |n, line| format!("COM3 02:14:{n:02}.001 -> {line}\n")),
    ("a rule", |_, line| format!("| {line}\n")),
    ("a table", |n, line| format!("| {} | {line:60} | |\n", n + 1)),
    ("continued lines", |_, line| format!("  {line} \\\n")),
    ("pictures of CR and LF", |n, line| format!("{n:04} {line}\u{240d}\u{240a}\n")),
    ("names of CR and LF", |_, line| format!("rx> {line}<CR><LF>\n")),
    ("escapes of C", |_, line| format!("recv: {line}\\r\\n\n")),
    ("^M and visible colours", |_, line| format!("\\x1b[0;32m{line}^[[0m^M\n")),
    ("bold", |_, line| format!("**{line}**\n")),
    ("bold, begun only", |n, line| format!("02:14:{n:02} -> **{line}\n")),
    ("bold, ended only", |n, line| format!("Dec 01 02:14:{n:02} {line}**\n")),
    ("docker's JSON", |n, line| {
        format!(
            "{{\"log\":\"{line}\\r\\n\",\"stream\":\"stdout\",\"time\":\"2026-11-30T02:14:09.{n}Z\"}}\n"
        )
    }),
    ("Zephyr", |n, line| format!("[00:00:00.{:03},000] <err> os: {line}\n", n + 1)),
    ("Go's JSON", |n, line| {
        let line = line.replace('>', "\\u003e").replace('<', "\\u003c");
        format!("{{\"log\":\"{line}\\n\",\"time\":\"2026-11-30T02:14:09.{n}Z\"}}\n")
    }),
    ("Markdown", |_, line| format!("    {}\\\n", line.replace('>', "\\>").replace('<', "\\<"))),
    ("Python's bytes", |_, line| format!("b'{line}\\r\\n'\n")),
    ("CSV", |n, line| format!("{n},\"2026-11-30 02:14:09\",\"{line}\"\n")),
    ("a patch", |_, line| format!("+{line}\n")),
    ("Android", |n, line| format!("11-30 02:14:09.{n:03}  1234  12{n} I esp: {line}\n")),
    ("levels", |n, line| {
        let level = ["ERROR", "INFO", "WARNING", "DEBUG"][n % 4];
        format!("2026-11-30 02:14:09,{n:03} {level:8} board: {line}\n")
    }),
    ("months and days in Chinese", |n, line| {
        format!("[2026\u{5e74}12\u{6708}1\u{65e5} 02:14:{n:02}] {line}\n")
    }),
    ("an arrow", |_, line| format!("\u{2190} {line}\n")),
    ("hilrig monitor, in CI", |n, line| {
        let mark = ["", "  <- exception 29: write"][usize::from(line.contains("Exception"))];
        format!("bench\tRun\t2026-11-30T02:14:09.{n:07}Z [{:11.6}] {line}{mark}\n", n as f64 * 0.7)
    }),
    ("a suffix that nobody knows", |n, line| format!("# {line} ;rx{n}\n")),
];

#[test]
fn what_tools_put_on_each_line_hides_nothing() {
    let mut wrong = Vec::new();
    for dump in dumps() {
        let bare = decode(&dump);
        assert!(!bare.is_empty(), "{dump}");
        let bare_without_lines = without_lines(bare.clone());
        for (name, tool) in TOOLS {
            // A line with nothing but an address is too little to make up for another word.
            let varies = matches!(name, "over the end of a month" | "levels");
            if varies && dump.contains("panicked at") {
                continue;
            }
            let log: String = dump.lines().enumerate().map(|(n, line)| tool(n, line)).collect();
            let mut compare = |how: &str, log: &str, right: bool| {
                if !right {
                    wrong.push(format!("{name}{how}:\n{log}"));
                }
            };
            compare("", &log, decode(&log) == bare);
            compare(", in a run", &log, live(&log) == bare);
            let blank = log.replace('\n', "\n\n");
            compare(", blank lines", &blank, without_lines(decode(&blank)) == bare_without_lines);
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_remark_of_the_monitor_in_a_quoted_line_hides_nothing() {
    let tool = |name| TOOLS.iter().find(|tool| tool.0 == name).unwrap().1;
    let monitor = tool("hilrig monitor, in CI");
    for dump in dumps() {
        let bare = decode(&dump);
        for name in ["docker's JSON", "CSV", "Python's bytes"] {
            let mut log = dump.clone();
            for tool in [monitor, tool(name)] {
                log = log.lines().enumerate().map(|(n, line)| tool(n, line)).collect();
            }
            assert_eq!(decode(&log), bare, "{name}:\n{log}");
            assert_eq!(live(&log), bare, "{name}, in a run:\n{log}");
        }
    }
}

#[test]
fn a_suffix_is_no_part_of_the_name_of_a_task() {
    let canary = dumps().into_iter().find(|dump| dump.contains("Stack canary")).unwrap();
    let bare = decode(&canary);
    assert_eq!(bare[0].task.as_deref(), Some("net_worker"));
    let tools: [Tool; 4] = [
        |_, line| format!("{line} //x\n"),
        |n, line| format!("{line} ;rx{n}\n"),
        |n, line| format!("[{n}]| {line} //x\n"),
        |n, line| format!("02:14:{n:02} -> {line} *\n"),
    ];
    for tool in tools {
        let log: String = canary.lines().enumerate().map(|(n, line)| tool(n, line)).collect();
        assert_eq!(decode(&log), bare, "{log}");
        assert_eq!(live(&log), bare, "in a run: {log}");
    }
}

/// What does not depend on how many lines there are.
fn without_lines(mut findings: Vec<Finding>) -> Vec<Finding> {
    for finding in &mut findings {
        finding.line = 0;
        finding.evidence.iter_mut().for_each(|evidence| evidence.line = 0);
    }
    findings
}

#[test]
fn the_reported_logs_are_read() {
    let exception = decode_bytes(include_bytes!("../../cases/exception.log"));
    let [crash, start] = &exception[..] else { panic!("{exception:#?}") };
    assert_eq!((crash.kind, crash.cause, crash.cut), (Kind::Exception, Some(29), false));
    assert_eq!((crash.addresses.len(), start.kind), (3, Kind::Start));
    let with_prefix = decode_bytes(include_bytes!("../../cases/prefix-exception-dut.log"));
    assert_eq!(with_prefix, exception);
    assert_eq!(decode_bytes(include_bytes!("../../cases/line-ends-cr.log")), exception);
    for log in [
        &include_bytes!("../../cases/prefix-pytest-embedded-dut.log")[..],
        include_bytes!("../../cases/prefix-gh-run-log.log"),
        include_bytes!("../../cases/prefix-syslog.log"),
    ] {
        let found = decode_bytes(log);
        let [crash, start] = &found[..] else { panic!("{found:#?}") };
        assert_eq!((crash.kind, crash.cut), (Kind::SoftWatchdog, false));
        let stack: Vec<u32> = crash.addresses.iter().map(|address| address.value).collect();
        assert_eq!(stack, [0x4020_f7aa, 0x4021_262d, 0x4010_3182]);
        assert!(crash.addresses.iter().all(|address| address.role == Role::Stack));
        assert_eq!((crash.line, start.kind), (3, Kind::Start));
    }
}

#[test]
fn text_that_speaks_of_crashes_raises_no_alarm() {
    let logs = [
        // A chat.
        "12:01 <ann> it is down again\n12:02 <bob> Exception (28):\n12:02 <bob> what is that\n\
         12:03 <ann> look for epc1=0x40201f23 in it\n12:04 <ann> Soft WDT reset\n\
         12:05 <bob> wdt reset\n12:05 <bob> and then it hangs\n",
        "[12:01:07] bob: Abort called\n[12:01:09] bob: Exception (9):\n[12:02:01] bob: hm\n",
        // Lists of a manual.
        "- Exception (0):\n- Exception (28):\n- Soft WDT reset\n- Abort called\n- wdt reset\n",
        "* Exception (0): illegal instruction\n* Exception (28): a null pointer\n",
        "a) Soft WDT reset\nb) Stack smashing detected\nc) Abort called\n",
        "| Exception (0): | illegal instruction |\n| Exception (28): | read from nowhere |\n",
        // A sentence with a dump in it.
        "If it prints Exception (28): and then epc1=0x40201f23 epc2=0x00000000 epc3=0x00000000\n\
         excvaddr=0x00000000 is the address. Then comes >>>stack>>> and rows.\n",
        "Find \"Soft WDT reset\" in the log.\nFind \"3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f\".\n",
        // A log in JSON.
        "{\"t\":1,\"msg\":\"Exception (28):\"}\n{\"t\":2,\"msg\":\"Soft WDT reset\"}\n\
         {\"t\":3,\"msg\":\"\"}\n{\"t\":4,\"msg\":\"all is well\"}\n",
        // Tags of a firmware.
        "MQTT: connect\nMQTT: Abort called\nMQTT: connect\nMQTT: Abort called\nMQTT: ok\n",
        "I (10) test: wdt reset\nI (11) test: Soft WDT reset\nI (12) test: passed\n",
        // A test bench's own words, and numbers that look like rows.
        "[1] case Exception (29): passed\n[2] case epc1=0x40201f23 epc2=0x0 epc3=0x0: passed\n",
        "dump 3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f\ndump 3fffffa0:  3fff2450 00000000 3ffefe60 4020ff4f\n",
    ];
    for log in logs {
        assert_eq!(decode(log), [], "{log}");
        assert_eq!(live(log), [], "{log}");
        let often = log.repeat(4);
        assert_eq!(decode(&often), [], "{often}");
    }
}

#[test]
fn a_crash_of_one_line_is_known_by_the_lines_around_it() {
    let log = "[dut-0] Mode: station\n[dut-0] joined\n[dut-0]\n[dut-0] Soft WDT reset\n";
    let kinds = |log: &str| decode(log).iter().map(|found| found.kind).collect::<Vec<_>>();
    assert_eq!(kinds(log), [Kind::SoftWatchdog]);
    // Another prefix among them, or no line without words of the firmware.
    assert_eq!(kinds(&format!("[dut-1] up\n{log}").replace("[dut-1]", "[x]")), []);
    assert_eq!(kinds(&log.replace("[dut-0]\n", "")), []);
}

#[test]
fn a_dump_of_a_stack_without_its_first_lines_is_found_after_a_prefix() {
    let log: String = STACK.lines().map(|line| format!("[dut-0] {line}\n")).collect();
    let found = decode(&log);
    assert_eq!((found.len(), found[0].kind, found[0].cut), (1, Kind::StackDump, true));
    assert_eq!(found, decode(STACK));
}

/// The rows of Rust's backtrace, whose `0x` looks like one more number of a time in front of it.
#[test]
fn an_address_stays_whatever_sign_joins_it_to_the_numbers_in_front() {
    let dump = dumps().into_iter().find(|dump| dump.contains("panicked at src")).unwrap();
    // The same with a digit lost, and with what a tool writes after an address.
    let damaged = dump.replace("0x420082d8", "0x420082d");
    let named = dump.replace("0x420082d8", "0x420082d8 - app::main");
    let rows = |found: &[Finding]| (found[0].addresses.len(), found[0].damaged.len());
    assert_eq!([&dump, &damaged, &named].map(|dump| rows(&decode(dump))), [(2, 0), (1, 1), (2, 0)]);
    let numbers: [fn(usize) -> String; 6] = [
        |n| format!("00:00:{n:02}.{:03}", n * 37),
        |n| format!("00:00:{n:02}"),
        |n| format!("2026-12-{n:02}"),
        |n| format!("1764555249.{n:06}"),
        |n| format!("{n}"),
        |n| format!("[x] 7,{n:04x}"),
    ];
    let mut wrong = Vec::new();
    for dump in [&dump, &damaged, &named] {
        let bare = decode(dump);
        for number in numbers {
            for last in [":", "-", ",", ";", "|", "]", ".", "/", "+", "=", "#", "::", "->", ">"] {
                let lines = dump.lines().enumerate();
                let log: String =
                    lines.map(|(n, line)| format!("{}{last}{line}\n", number(n + 1))).collect();
                if decode(&log) != bare || live(&log) != bare {
                    wrong.push(log);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_numbered_blank_line_is_no_text_of_a_panic() {
    // From the banner on, each line is recognised without what the log's other lines have.
    for dump in dumps().into_iter().filter(|dump| dump.contains("panicked at src")) {
        let dump: String = dump.lines().skip(2).map(|line| format!("{line}\n")).collect();
        let lines = dump.lines().enumerate();
        let log: String = lines.map(|(n, line)| format!("{n}| {line}\n")).collect();
        assert_eq!(decode(&log), decode(&dump), "{log}");
        assert_eq!(live(&log), decode(&dump), "in a run: {log}");
    }
}

#[test]
fn a_line_waits_for_a_bounded_number_of_lines() {
    let mut prefixes = Prefixes::default();
    prefixes.push(1, b"[x] Exception (28):");
    for number in 2..=AHEAD as u64 {
        prefixes.push(number, b"other text");
        assert!(prefixes.next().is_none(), "after {number}");
    }
    prefixes.push(AHEAD as u64 + 1, b"other text");
    let numbers: Vec<u64> =
        std::iter::from_fn(|| prefixes.next()).map(|line| line.number).collect();
    assert_eq!(numbers, (1..=AHEAD as u64 + 1).collect::<Vec<_>>());
    // A dump at the beginning of its lines shows that there is no prefix.
    prefixes.push(18, b"[x] Exception (28):");
    assert!(prefixes.next().is_none());
    prefixes.push(19, b"Exception (29):");
    assert_eq!(std::iter::from_fn(|| prefixes.next()).count(), 2);
}

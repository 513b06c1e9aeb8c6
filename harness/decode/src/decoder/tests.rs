use super::open::MOST_WORDS;
use super::*;
use crate::finding::Role;
use proptest::prelude::*;

pub fn decode(log: &str) -> Vec<Finding> {
    decode_bytes(&[log.as_bytes()])
}

fn decode_bytes(chunks: &[&[u8]]) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut decoder = Decoder::default();
    for chunk in chunks {
        decoder.feed(chunk, |finding| all.push(finding));
    }
    decoder.finish(|finding| all.push(finding));
    all
}

pub fn kinds(log: &str) -> Vec<Kind> {
    decode(log).iter().map(|finding| finding.kind).collect()
}

pub fn values(finding: &Finding, role: Role) -> Vec<u32> {
    let of = finding.addresses.iter().filter(|address| address.role == role);
    of.map(|address| address.value).collect()
}

pub const REGISTERS: &str =
    "epc1=0x40201f23 epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000010 depc=0x00000000";
const STACK: &str = "\
>>>stack>>>\n\nctx: cont\nsp: 3ffffdd0 end: 3fffffc0 offset: 0190\n\
3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  \n\
3fffff70:  40210008 feefeffe 40100123 3fffff90 <\n<<<stack<<<\n";
const ROM: &str = " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n\nload 0x4010f000, len 1384, room 16\n\
tail 8\nchksum 0x2d\ncsum 0x2d\nv8b899c12\n~ld\n";
const CUT: &str = "\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n";

#[test]
fn a_dump_of_the_arduino_core_is_one_finding() {
    let log = format!(
        "Connecting...\n{CUT}\nException (28):\n{REGISTERS}\n\n{STACK}\n\n\
         last failed alloc call: 40202B94(2048)\n{CUT}\n{ROM}setup\n"
    );
    let found = decode(&log);
    let [crash, start] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((crash.kind, crash.cause, crash.line), (Kind::Exception, Some(28), 5));
    assert_eq!(crash.registers.excvaddr, Some(0x10));
    assert_eq!(crash.failed_alloc, Some((0x4020_2b94, 2048)));
    assert_eq!(values(crash, Role::Epc1), [0x4020_1f23]);
    assert_eq!(values(crash, Role::Stack), [0x4020_1f20, 0x4021_0008, 0x4010_0123]);
    assert_eq!(values(crash, Role::FailedAlloc), [0x4020_2b94]);
    assert!(!crash.cut);
    assert!(crash.words().contains("an allocation that failed"), "{}", crash.words());
    assert_eq!(crash.start.as_ref().map(|start| start.mode()), Some(vec![3, 6]));
    assert_eq!(start.kind, Kind::Start);
}

#[test]
fn an_old_core_prints_the_context_before_the_stack() {
    // The dump that a reader reported under the article this firmware goes back to, cut as there.
    let log = "Exception (29):\n\
        epc1=0x4000e1b2 epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000000 depc=0x00000000\n\n\
        ctx: sys \nsp: 3ffff990 end: 3fffffb0 offset: 01a0\n\n>>>stack>>>\n\
        3ffffb30:  3fff3814 00001f52 3fff81c4 401004f4  \n";
    let found = decode(log);
    let [crash] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((crash.kind, crash.cause), (Kind::Exception, Some(29)));
    assert_eq!(values(crash, Role::Stack), [0x4010_04f4]);
    assert!(crash.cut, "the end of the stack is missing");
    assert!(crash.words().starts_with("write to an address"), "{}", crash.words());
}

#[test]
fn the_sdks_form_and_the_other_causes_are_distinguished() {
    let sdk = "Fatal exception (28):\nepc1=0x4000df64, epc2=0x00000000, epc3=0x00000000, \
               excvaddr=0x7fffffff, depc=0x00000000\n";
    let found = decode(sdk);
    assert_eq!((found.len(), found[0].registers.excvaddr), (1, Some(0x7fff_ffff)));
    assert!(!found[0].cut, "the SDK prints no stack");
    assert!(decode(&sdk.replace("Fatal e", "E"))[0].cut, "the core does");
    assert!(!found[0].words().contains("allocation"), "not near 0: {}", found[0].words());

    let cases: [(&str, Kind); 8] = [
        ("Soft WDT reset\n", Kind::SoftWatchdog),
        ("Stack smashing detected.\n", Kind::StackSmashed),
        ("Stack overflow detected\n", Kind::StackOverflow),
        ("Abort called\n", Kind::Abort),
        ("User exception (panic/abort/assert)\n", Kind::UserException),
        ("User exception (panic/abort/assert)\n\nAbort called\n", Kind::Abort),
        (
            "User exception (panic/abort/assert)\nPanic a.cpp:98 loop: Assertion 'x' failed.\n",
            Kind::Panic,
        ),
        ("Unhandled C++ exception: OOM\n", Kind::UnhandledException),
    ];
    for (text, kind) in cases {
        let log = format!("{text}\n{STACK}");
        let found = decode(&log);
        let [crash] = &found[..] else { panic!("{text}: {found:#?}") };
        assert_eq!(crash.kind, kind, "{text}");
        assert_eq!(values(crash, Role::Stack).len(), 3, "{text}");
        assert_eq!(crash.line, 1, "{text}");
    }
}

#[test]
fn what_was_noticed_keeps_its_name_under_the_head_of_an_exception() {
    let log = format!("Soft WDT reset\n\nException (4):\n{REGISTERS}\n{STACK}");
    let found = decode(&log);
    let [crash] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((crash.kind, crash.cause), (Kind::SoftWatchdog, Some(4)));
    assert_eq!(values(crash, Role::Epc1), [0x4020_1f23]);
}

#[test]
fn a_panic_in_other_words_counts_after_the_cut_line_only() {
    assert_eq!(kinds(&format!("{CUT}\nPanic heap corrupt\n{STACK}")), [Kind::Panic]);
    assert_eq!(kinds("Panic heap corrupt\n"), []);
}

#[test]
fn an_esp32s_panic_is_one_finding() {
    let log = "\
Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.

Core  0 register dump:
PC      : 0x400d0c4b  PS      : 0x00060530  A0      : 0x800d1e8e  A1      : 0x3ffb1f60
A2      : 0x00000000  A3      : 0x3ffb1f60  A4      : 0x00000001  A5      : 0x3ffb1f60
EXCCAUSE: 0x0000001c  EXCVADDR: 0x00000000  LBEG    : 0x4000c46c  LEND    : 0x4000c477

Backtrace: 0x400d0c48:0x3ffb1f60 0x400d1e8b:0x3ffb1f80

ELF file SHA256: 0123456789abcdef

Rebooting...
ets Jun  8 2016 00:22:57

rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)
";
    let found = decode(log);
    let [crash, start] = &found[..] else { panic!("{found:#?}") };
    assert_eq!(crash.said.as_deref(), Some("LoadProhibited"));
    assert_eq!(values(crash, Role::Epc1), [0x400d_0c4b]);
    assert_eq!(values(crash, Role::Backtrace), [0x400d_0c48, 0x400d_1e8b]);
    assert!(crash.words().contains("an allocation that failed"), "{}", crash.words());
    assert_eq!(crash.start.as_ref().map(RomStart::cause), Some(0xc));
    assert_eq!(start.kind, Kind::Start);
}

#[test]
fn watchdogs_are_distinguished() {
    let rom4 = ROM.replace("cause:2", "cause:4");
    let found = decode(&format!("up\n{rom4}"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind, Kind::HardwareWatchdog);
    assert!(found[0].words().contains("no dump"));
    // The ROM's second word on it is no second one.
    assert_eq!(
        kinds("\n ets Jan  8 2013,rst cause:4, boot mode:(3,6)\n\nwdt reset\nload 0x4010f000\n"),
        [Kind::HardwareWatchdog]
    );
    assert_eq!(kinds("\x7f\x01\nwdt reset\nload 0x4010f000\n"), [Kind::HardwareWatchdog]);
    let loader = decode(" ets Jan  8 2013,rst cause:4, boot mode:(1,7)\n\nwdt reset\n");
    assert!(loader[0].words().contains("EN"), "{}", loader[0].words());
    // After a dump the hardware watchdog only ended what the software one reported.
    assert_eq!(
        kinds(&format!("Soft WDT reset\n\n{STACK}\n{rom4}")),
        [Kind::SoftWatchdog, Kind::Start]
    );
    assert_eq!(
        kinds("rst:0x7 (TG0WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n"),
        [Kind::HardwareWatchdog]
    );
}

#[test]
fn a_board_that_starts_and_starts_is_in_a_boot_loop() {
    let round = format!("{ROM}Build: 1\nException (29):\n{REGISTERS}\n{STACK}\n");
    let found = decode(&round.repeat(5));
    let loops: Vec<&Finding> = found.iter().filter(|f| f.kind == Kind::BootLoop).collect();
    let [told] = &loops[..] else { panic!("told once: {found:#?}") };
    assert_eq!(told.evidence.len(), 3);
    // By the crashes: a start without a crash before it does not count.
    assert_eq!(told.evidence[0].line, 10);
    assert!(told.words().contains("3 starts"), "{}", told.words());
    assert_eq!(found.iter().filter(|f| f.kind == Kind::Exception).count(), 5);
    // The ROM's text may be at a rate that is not read.
    let round = format!("Build: 1\nException (29):\n{REGISTERS}\n{STACK}\n");
    assert!(kinds(&round.repeat(3)).contains(&Kind::BootLoop));
}

#[test]
fn a_board_that_restarts_on_purpose_is_in_none() {
    let round = format!("{ROM}Build: 1\nESP8266 Mode: MQTT Client Running\nRestarting\n");
    assert!(!kinds(&round.repeat(8)).contains(&Kind::BootLoop));
    // A firmware that prints something else, at some length.
    let round = format!("{ROM}{}", "working\n".repeat(80));
    assert!(!kinds(&round.repeat(8)).contains(&Kind::BootLoop));
    // Two crashes are no loop.
    let round = format!("{ROM}Exception (29):\n{REGISTERS}\n{STACK}\n");
    assert!(!kinds(&round.repeat(2)).contains(&Kind::BootLoop));
}

#[test]
fn signs_of_a_brownout_are_judged_with_what_they_rest_on() {
    let garbage = "\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}";
    let log = format!("{ROM}Connecting to the network\n{garbage}\n{ROM}");
    let found = decode(&log);
    let sign = found.iter().find(|f| f.kind == Kind::Brownout).expect("a sign");
    assert!(sign.words().contains("signs of a brownout"));
    assert_eq!(sign.evidence.iter().map(|e| e.line).collect::<Vec<_>>(), [9 + 1, 11]);

    let fatal =
        "Fatal exception (0):\nepc1=0x40203000, epc2=0x0, epc3=0x0, excvaddr=0x0, depc=0x0\n";
    let found = decode(&format!("{ROM}{fatal}").repeat(4));
    assert_eq!(found.iter().filter(|f| f.kind == Kind::Brownout).count(), 1);

    let esp32 = "Brownout detector was triggered\n\n\
                 rst:0xf (RTCWDT_BROWN_OUT_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n";
    assert_eq!(kinds(esp32), [Kind::Brownout, Kind::Start]);
}

#[test]
fn garbage_that_the_wrong_rate_makes_is_no_brownout() {
    let garbage = "\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}\n".repeat(4);
    // Read at the ROM's rate, all that the firmware prints is garbage.
    assert!(!kinds(&format!("{ROM}{garbage}").repeat(3)).contains(&Kind::Brownout));
    // A crash explains its start.
    let log = format!("{ROM}Connecting to it\nException (28):\n{REGISTERS}\n{garbage}{ROM}");
    assert!(!kinds(&log).contains(&Kind::Brownout));
    // Also one whose lines were long over when the garbage came.
    let text = "a line of text\n".repeat(PATIENCE as usize + 1);
    let log = format!("{ROM}Exception (28):\n{REGISTERS}\n{text}{garbage}{ROM}");
    assert!(!kinds(&log).contains(&Kind::Brownout));
    // Garbage at another time, or from a cable that was pulled to flash.
    let log = format!("{ROM}Connecting to it\n{garbage}{}{ROM}", "ok\n".repeat(4));
    assert!(!kinds(&log).contains(&Kind::Brownout));
    let loader = ROM.replace("(3,6)", "(1,6)");
    let log = format!("{ROM}Connecting to it\n{garbage}{loader}");
    assert!(!kinds(&log).contains(&Kind::Brownout));
    // An illegal instruction that the core's own handler reports is a bug like any other.
    let round = format!("{ROM}Exception (0):\n{REGISTERS}\n");
    assert!(!kinds(&round.repeat(4)).contains(&Kind::Brownout));
    // A clean restart has none before it.
    assert!(!kinds(&format!("{ROM}Restarting\n{ROM}")).contains(&Kind::Brownout));
}

#[test]
fn other_output_in_between_and_in_front_does_no_harm() {
    let log = format!(
        "heap 4Exception (28):\nWi-Fi lost\n{REGISTERS}\nscan done\n>>>stack>>>\nscan done\n\
         3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  \nscan done\n<<<stack<<<\n"
    );
    let found = decode(&log);
    let [crash] = &found[..] else { panic!("{found:#?}") };
    assert_eq!((crash.kind, crash.cause, crash.line), (Kind::Exception, Some(28), 1));
    assert_eq!(values(crash, Role::Stack), [0x4020_1f20]);
    // The first lines are lost.
    assert_eq!(kinds(&format!("\x01\x02on (2\n{REGISTERS}\n")), [Kind::Exception]);
    let found = decode(STACK);
    assert_eq!((found[0].kind, found[0].cut), (Kind::StackDump, true));
}

#[test]
fn a_start_long_after_a_crash_is_not_its_own() {
    let crash = format!("Exception (28):\n{REGISTERS}\n{STACK}");
    let text = "working\n".repeat(PATIENCE as usize + 1);
    let found = decode(&format!("{crash}{text}{ROM}"));
    assert_eq!((found[0].kind, &found[0].start), (Kind::Exception, &None));
    assert_eq!(found[1].kind, Kind::Start);
    let found = decode(&format!("{crash}working\n{ROM}"));
    assert!(found[0].start.is_some());
}

#[test]
fn two_crashes_in_a_row_are_two() {
    let crash = format!("Exception (28):\n{REGISTERS}\n{STACK}");
    let other = crash.replace("40201f2", "40202f2");
    assert_eq!(kinds(&format!("{crash}{other}")), [Kind::Exception; 2]);
    assert_eq!(kinds(&format!("{crash}setup\n{crash}")), [Kind::Exception; 2]);
    // Of the second only the registers came through.
    let found = decode(&format!("Exception (28):\n{REGISTERS}\n{REGISTERS}\n"));
    assert_eq!(found.iter().map(|f| f.cause).collect::<Vec<_>>(), [Some(28), None]);
    // An exception that was only spoken of has nothing to do with registers further down.
    let found = decode(&format!("it said Exception (9):\na\nb\nc\n{REGISTERS}\n"));
    assert_eq!((found.len(), found[0].cause, found[0].line), (1, None, 5));
}

#[test]
fn words_that_only_look_like_a_crash_raise_no_alarm() {
    for line in [
        "exception handling is on",
        r#"{"error":"Exception (28):","at":"epc1=0x0"}"#,
        "java.lang.Exception (1): boom",
        "MQTT: abort requested by user",
        "Abort called by user 7",
        "watchdog fed; wdt reset in 3 s",
        "E (123) task_wdt: Task watchdog got triggered.",
        "rst cause: unknown",
        "look for >>>stack>>> in the log",
        "ctx: cont",
        "last failed alloc call: 40202B94(2048)",
        "Backtrace: 0x400d0c48:0x3ffb1f60",
        "Fatal exception in module tls",
        "3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20",
        "epc1=0x40201f23",
        "stack smashing detected: 0",
        "Guru Meditation Error",
        "Brownout detector is enabled",
        "the Exception (28): means that",
        r#"{"line":"epc1=0x40201f23 epc2=0x00000000 epc3=0x00000000 excvaddr=0x0 depc=0x0"}"#,
    ] {
        assert_eq!(kinds(&format!("{line}\n").repeat(4)), [], "{line}");
    }
}

#[test]
fn a_log_from_an_issue_thread_is_read() {
    let log = format!("Exception (28):\n{REGISTERS}\n\n{STACK}\n{ROM}");
    let plain = decode(&log);
    let quoted: String = log.lines().map(|line| format!("> {line}\r\n")).collect();
    let timed: String = log.lines().map(|line| format!("12:34:56.789 -> {line}\n")).collect();
    let ours: String = log.lines().map(|line| format!("[   0.123456] {line}\n")).collect();
    let escaped = log.replace('>', "&gt;").replace('<', "&lt;").replace("0x", "0\u{d7}");
    let fenced: String = log.lines().map(|line| format!("    `{line}`\n")).collect();
    let coloured: String = log.lines().map(|line| format!("\x1b[0;31m{line}\x1b[0m\n")).collect();
    for damaged in [quoted, timed, ours, escaped, fenced, coloured] {
        assert_eq!(decode(&damaged), plain, "{damaged}");
    }
    // Rows broken in the middle of a word, and all line ends lost.
    let wrapped = log.replace("40201f20", "402\n01f20");
    assert_eq!(decode(&wrapped)[0].addresses, plain[0].addresses);
    let wrapped = log.replace(" excvaddr=", "\nexcvaddr=");
    assert_eq!(decode(&wrapped)[0].registers, plain[0].registers);
    // As Windows saves what a program prints.
    let utf16: Vec<u8> =
        format!("\u{feff}{log}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(decode_bytes(&[&utf16])[1..], plain[1..]);
    assert_eq!(decode_bytes(&[&utf16])[0].addresses, plain[0].addresses);
    let flat = format!("Exception (28): {REGISTERS} {}", STACK.replace('\n', " "));
    assert_eq!(decode(&flat)[0].addresses, plain[0].addresses);
    assert_eq!(decode(&flat)[0].cause, Some(28));
}

#[test]
fn a_dump_that_never_ends_is_cut() {
    let row = "3fffff60:  40201f20 40201f20 40201f20 40201f20  \n";
    let log = format!("Exception (28):\n{REGISTERS}\n>>>stack>>>\n{}", row.repeat(5_000));
    let found = decode(&log);
    assert_eq!((found.len(), found[0].cut), (1, true));
    assert!(found[0].addresses.len() <= MOST_WORDS + 16);
    let endless = vec![b'3'; 1 << 20];
    assert_eq!(decode_bytes(&[log.as_bytes(), &endless]).len(), 1);
}

/// Lines that lead into every corner, whole and damaged.
pub fn line() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "Exception (28):",
        "Fatal exception (0):",
        REGISTERS,
        ">>>stack>>>",
        "<<<stack<<<",
        "ctx: sys",
        "3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  ",
        "3fffff70:  3ffee5f8 feefeffe 4020115 40201f20  ",
        "sp: 3ffffdd0 end: 3fffffc0 offset: 0190",
        "40201f20 402",
        "01f20",
        "last failed alloc call: 40202B94(2048)",
        "Soft WDT reset",
        "Stack smashing detected",
        "User exception (panic/abort/assert)",
        "Abort called",
        "wdt reset",
        "Panic x",
        "--- CUT HERE FOR EXCEPTION DECODER ---",
        "Brownout detector was triggered",
        " ets Jan  8 2013,rst cause:2, boot mode:(3,6)",
        " ets Jan  8 2013,rst cause:4, boot mode:(1,7)",
        "Mode: x Running",
        "some text",
        "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
        "Backtrace: 0x400d0c48:0x3ffb1f60",
        "Debug exception reason: Stack canary watchpoint triggered (net_worker)",
        "abort() was called at PC 0x400d2233 on core 1",
        "***ERROR*** A stack overflow in task loopTask has been detected.",
        "PC      : 0x400dedd5  PS      : 0x0015d263  A0      : 0x800d3ad5  A1      : 0x3ffb23f0",
        "MEPC    : 0x4200a1e6  RA      : 0x42003f5c  SP      : 0x40818a0b  GP      : 0x40809b14",
        "EXCVADDR: 0x00000000  LBEG    : 0x4000d77f",
        "Core  1 register dump:",
        "Stack memory:",
        "4081b8a0: 0xa5a5a5a5 0x00000000 0x420052b8 0x0 0x0 0x0 0x0 0x0",
        "ELF file SHA256: 5d1a0f3b2",
        "Rebooting...",
        "rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
        "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)",
        "====================== PANIC ======================",
        "panicked at src/main.rs:41:9:",
        "thread 'main' panicked at 'oh no', src/main.rs:41:9",
        "Backtrace:",
        "0x420035d7",
        "[00:00:00.010,000] <err> os: ***** MPU FAULT *****",
        "[00:00:00.010,000] <err> os: r0/a1:  0x00000004  r1/a2:  0x0000006d  r2/a3:  0x200038d0",
        "[00:00:00.010,000] <err> os: >>> ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0",
        "[00:00:00.010,000] <err> os: Current thread: 0x20000e08 (logging)",
        "[00:00:00.010,000] <err> os: Halting system",
        "E: mcause: 5, Load access fault",
        "Build: 0123456789abcdef",
        "\u{2e2e}\u{2e2e}\u{2e2e}\u{2e2e}",
        "&gt;&gt;&gt;stack&gt;&gt;&gt;",
    ]);
    let cut = (known, any::<prop::sample::Index>(), 0u8..8).prop_map(|(text, at, whole)| {
        let bytes = text.as_bytes();
        let end = if whole == 0 { at.index(bytes.len()) } else { bytes.len() };
        bytes[..end].to_vec()
    });
    prop_oneof![8 => cut, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_findings_are_the_same(
        lines in prop::collection::vec(line(), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let log = lines.join(&b'\n');
        let whole = decode_bytes(&[&log]);
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(log.len() + 1)).collect();
        at.sort_unstable();
        let mut chunks = Vec::new();
        let mut from = 0;
        for to in at {
            chunks.push(&log[from..to]);
            from = to;
        }
        chunks.push(&log[from..]);
        prop_assert_eq!(&decode_bytes(&chunks), &whole);
        let bytes: Vec<&[u8]> = log.chunks(1).collect();
        prop_assert_eq!(&decode_bytes(&bytes), &whole);
        for finding in &whole {
            prop_assert!(finding.addresses.len() <= MOST_WORDS + 16);
            prop_assert!(!finding.words().chars().any(char::is_control));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        decode_bytes(&[&bytes]);
    }
}

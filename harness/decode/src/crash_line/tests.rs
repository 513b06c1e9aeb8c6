use super::*;
use proptest::prelude::*;

#[test]
fn a_dump_of_the_arduino_core_is_read() {
    let dump = "Exception (28):\r\n\
        epc1=0x40201f23 epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000010 depc=0x00000000\r\n\
        \r\n>>>stack>>>\r\n\r\nctx: cont\r\nsp: 3ffffdd0 end: 3fffffc0 offset: 0190\r\n\
        3fffff60:  3ffee5f8 00000010 3ffee5c0 40201f20  \r\n<<<stack<<<\r\n\r\n\
        last failed alloc call: 40202b94(2048)\r\n";
    let read: Vec<CrashLine> =
        dump.lines().filter_map(|line| CrashLine::read(line.as_bytes())).collect();
    assert_eq!(
        read,
        [
            CrashLine::Exception { cause: 28, fatal: false },
            CrashLine::Registers(Registers {
                epc1: Some(0x4020_1f23),
                epc2: Some(0),
                epc3: Some(0),
                excvaddr: Some(0x10),
                depc: Some(0),
                ..Registers::default()
            }),
            CrashLine::StackBegins,
            CrashLine::StackEnds,
            CrashLine::FailedAllocation { caller: Some(0x4020_2b94), bytes: 2048 },
        ]
    );
    assert_eq!(read.iter().filter(|crash| crash.is_crash()).count(), 1);
    assert!(read[0].to_string().contains("null pointer"));
}

fn overflow(task: Option<&str>) -> CrashLine {
    CrashLine::StackOverflow { task: task.map(Into::into), at: [None; 2], cut: false }
}

#[test]
fn the_other_crash_texts_are_read() {
    let place = "core_esp8266_main.cpp:98 __yield";
    let cases: [(&str, CrashLine); 16] = [
        ("Fatal exception (0):", CrashLine::Exception { cause: 0, fatal: true }),
        (
            "Fatal exception 28(LoadProhibitedCause):",
            CrashLine::Exception { cause: 28, fatal: true },
        ),
        (
            "epc1=0x00004000, epc2=0x1",
            CrashLine::Registers(Registers {
                epc1: Some(0x4000),
                epc2: Some(1),
                ..Registers::default()
            }),
        ),
        ("Soft WDT reset", CrashLine::SoftWatchdog),
        (" wdt reset", CrashLine::HardwareWatchdog),
        (
            "Stack smashing detected at 0x40200000",
            CrashLine::StackSmashed { at: Some(0x4020_0000) },
        ),
        ("Stack smashing detected.", CrashLine::StackSmashed { at: None }),
        ("Stack overflow detected.", overflow(None)),
        ("Abort called", CrashLine::Abort { at: None }),
        ("User exception (panic/abort/assert)", CrashLine::UserException),
        ("Unhandled C++ exception: OOM", CrashLine::UnhandledException),
        (
            &format!("Panic {place}"),
            CrashLine::Panic {
                text: place.into(),
                panic: Box::new(Panic {
                    file: Some("core_esp8266_main.cpp".into()),
                    line: Some(98),
                    function: Some("__yield".into()),
                    ..Panic::default()
                }),
                task: None,
            },
        ),
        (
            "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.",
            CrashLine::Guru { what: "LoadProhibited".into() },
        ),
        (
            "Backtrace: 0x400d0c4b:0x3ffb1f60 0x400d1e8b:0x3ffb1f80 |<-CORRUPTED",
            CrashLine::Backtrace {
                addresses: vec![0x400d_0c4b, 0x400d_1e8b],
                end: Some("CORRUPTED"),
            },
        ),
        (
            "abort() was called at PC 0x400d2233 on core 1",
            CrashLine::Abort { at: Some(0x400d_2233) },
        ),
        (
            "***ERROR*** A stack overflow in task loopTask has been detected.",
            overflow(Some("loopTask")),
        ),
    ];
    for (line, crash) in cases {
        assert_eq!(CrashLine::read(line.as_bytes()), Some(crash), "{line}");
    }
}

#[test]
fn an_esp32s_register_dump_is_read() {
    let mut all = Registers::default();
    for line in [
        "PC      : 0x400d0c4b  PS      : 0x00060530  A0      : 0x800d1e8e  A1      : 0x3ffb1f60",
        "EXCCAUSE: 0x0000001c  EXCVADDR: 0x00000008  LBEG    : 0x4000c46c  LEND    : 0x4000c477",
    ] {
        match CrashLine::read(line.as_bytes()) {
            Some(CrashLine::Registers(found)) => all.fill(&found),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert_eq!((all.epc1, all.excvaddr, all.cause), (Some(0x400d_0c4b), Some(8), Some(28)));
    let risc = CrashLine::read(b"MEPC    : 0x42007a1e  RA      : 0x42007a1c");
    assert!(matches!(risc, Some(CrashLine::Registers(r)) if r.epc1 == Some(0x4200_7a1e)));
}

#[test]
fn words_that_only_look_like_a_crash_raise_no_alarm() {
    for line in [
        "No Exception (28): all is well",
        "Exception (x):",
        "Exception (28) handled",
        "Exception (28): handled",
        "exception (28):",
        "wdt reset counter: 3",
        "the Soft WDT reset is disabled",
        "Soft WDT reset is disabled",
        "Stack overflow detected in 0 of 5 tasks",
        "Stack smashing detected: no",
        "Panic",
        "Panic button pressed: no",
        "Panic at the disco: 98",
        "epc1=none",
        "Abort called off",
        "Exception (99999999999):",
        "Fatal exception handler installed",
        "last failed alloc call: none",
        "Guru Meditation Error: none so far",
        "Backtrace: none",
        "PC is on",
        "Brownout detector was triggered 0 times",
        r#"{"error":"Exception (28):"}"#,
    ] {
        assert_eq!(CrashLine::read(line.as_bytes()), None, "{line}");
    }
}

#[test]
fn what_a_board_calls_its_panic_steers_no_terminal() {
    let line = b"Guru Meditation Error: Core  0 panic'ed (\x1b[2J). Exception was unhandled.";
    let words = CrashLine::read(line).unwrap().to_string();
    assert!(!words.contains('\x1b'), "{words:?}");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..10) {
        let starts = [
            "", "Exception (", "epc1=0x", "last failed alloc call: ", "Fatal exception ",
            "Backtrace:0x", "Guru Meditation Error: Core 0 panic'ed (", "Panic a:1",
            "Stack smashing detected at 0x", "PC  : 0x",
        ];
        let mut line = starts[at].as_bytes().to_vec();
        line.extend(bytes);
        let _ = CrashLine::read(&line).map(|crash| crash.to_string());
    }
}

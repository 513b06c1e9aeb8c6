//! Crash text of ESP-IDF, Rust and Zephyr, and what damage and losses leave of a dump.

use hilrig_core::crash::Panic;
use proptest::prelude::*;

use super::tests::{REGISTERS, decode, kinds, line, values};
use crate::finding::{Finding, Kind, Role};

fn case(log: &str) -> Finding {
    let mut found: Vec<Finding> =
        decode(log).into_iter().filter(|finding| finding.kind != Kind::Start).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn panic(message: &str, file: &str, line: u32, column: Option<u32>) -> Option<Panic> {
    let (message, file) = (Some(message.into()), Some(file.into()));
    Some(Panic { message, file, line: Some(line), column, function: None })
}

#[test]
fn a_stack_canary_of_the_esp32_is_a_stack_overflow_of_its_task() {
    let crash = case(include_str!("../../cases/esp32-canary.log"));
    assert_eq!((crash.kind, crash.line, crash.cut), (Kind::StackOverflow, 2, false));
    assert_eq!(crash.task.as_deref(), Some("net_worker"));
    assert_eq!((crash.registers.cause, crash.registers.excvaddr), (Some(1), Some(0)));
    assert_eq!(values(&crash, Role::Backtrace).len(), 4);
    assert!(crash.notes.iter().any(|note| note.contains("corrupted")));
    assert_eq!(
        case("Debug exception reason: Stack canary watchpoint triggered (net_wo").task.as_deref(),
        Some("net_wo")
    );
}

#[test]
fn a_fault_of_risc_v_has_its_registers_and_its_stack() {
    let crash = case(include_str!("../../cases/esp32c6-load-fault.log"));
    assert_eq!((crash.kind, crash.cut), (Kind::Exception, false));
    assert!(crash.words().contains("null pointer"), "{}", crash.words());
    assert_eq!(crash.registers.excvaddr, Some(8));
    assert_eq!(values(&crash, Role::Epc1), [0x4200_a1e6]);
    assert_eq!(values(&crash, Role::Ra), [0x4200_3f5c]);
    assert_eq!(values(&crash, Role::Stack), [0x4200_52b8, 0x4200_77a2, 0x4080_961e]);
    assert_eq!((crash.registers.others["mcause"], crash.registers.others["sp"]), (5, 0x4081_8a0b));
    assert_eq!(crash.elf_sha256.as_deref(), Some("5d1a0f3b2"));
    let cut = include_str!("../../cases/esp32c6-load-fault.log").split("ELF").next().unwrap();
    assert!(case(cut).cut, "the end of the stack is missing");
}

#[test]
fn abort_and_guru_are_one_crash() {
    let crash = case(include_str!("../../cases/esp32-abort-guru.log"));
    assert_eq!((crash.kind, crash.line), (Kind::Abort, 2));
    assert_eq!(values(&crash, Role::Backtrace).len(), 3);
}

#[test]
fn panics_of_rust_have_message_place_and_backtrace() {
    let crash = case(include_str!("../../cases/rust-panic-esp32c3.log"));
    let none = "called `Option::unwrap()` on a `None` value";
    assert_eq!(crash.panic, panic(none, "src/main.rs", 41, Some(9)));
    assert_eq!(
        values(&crash, Role::Backtrace),
        [0x4200_35d7, 0x4200_82d8, 0x4200_2c18, 0x4038_e151]
    );
    for (log, message) in [
        (format!("!! A panic occured in 'src/main.rs', at line 41, column 9:\n{none}\n"), none),
        (format!("!! A panic occured in 'src/main.rs', at line 41, column 9\n\nPanicInfo {{\n    payload: Any {{ .. }},\n    message: Some(\n        {none},\n    ),\n    location: Location {{\n}}\n"), none),
        ("thread 'main' panicked at 'oh no', src/main.rs:41:9\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n\nabort() was called at PC 0x42031234 on core 0\n".into(), "oh no"),
        ("thread '<unnamed>' (7) panicked at src/main.rs:41:9:\noh no\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nabort() was called at PC 0x42031234 on core 0\nGuru Meditation Error: Core  0 panic'ed (abort)\n".into(), "oh no"),
        ("0.000123 ERROR panicked at 'oh no', src/main.rs:41:9\n\u{2514}\u{2500} panic_probe::print_defmt::print @ /x/panic-probe-0.3.0/src/lib.rs:104\n".into(), "oh no"),
        ("5.90 [ERROR] ====================== PANIC ====================== (esp_backtrace esp-backtrace/src/lib.rs:70)\n5.91 [ERROR] panicked at src/main.rs:41:9: (esp_backtrace esp-backtrace/src/lib.rs:70)\n5.92 [ERROR] oh no (esp_backtrace esp-backtrace/src/lib.rs:70)\n5.92 [ERROR]  (esp_backtrace esp-backtrace/src/lib.rs:70)\n".into(), "oh no"),
        ("panicked at src/main.rs:41:9:\noh no\n".into(), "oh no"),
    ] {
        let crash = case(&log);
        assert_eq!(crash.kind, Kind::Panic);
        assert_eq!(crash.panic, panic(message, "src/main.rs", 41, Some(9)), "{log}");
        assert!(crash.words().contains(message), "{}", crash.words());
    }
    let place = "ERROR panicked at 'oh no'\n\u{2514}\u{2500} app::main @ src/main.rs:17\n";
    assert_eq!(case(place).panic.unwrap().line, Some(17));
}

#[test]
fn exceptions_that_rust_reports_have_their_registers() {
    let xtensa = "Exception occurred on ProCpu 'LoadProhibited'\nContext\n\
        PC=0x42001234       PS=0x00060b33\nA0=0x82005678       A1=0x3fcb0000       A2=0x00000000\n\
        EXCCAUSE=0x0000001c EXCVADDR=0x00000004\n0x42001231\n0x42005675\n";
    let crash = case(xtensa);
    assert_eq!((crash.registers.cause, crash.registers.excvaddr), (Some(28), Some(4)));
    assert_eq!(values(&crash, Role::Backtrace), [0x4200_1231, 0x4200_5675]);
    let riscv = "Exception 'Load access fault' mepc=0x42001234, mtval=0x00000008\nTrapFrame\n\
        PC=0x42001234         RA/x1=0x4200be18      SP/x2=0x3fcd7b30\n";
    let crash = case(riscv);
    assert_eq!(
        (values(&crash, Role::Epc1), values(&crash, Role::Ra)),
        (vec![0x4200_1234], vec![0x4200_be18])
    );
    assert_eq!(crash.registers.excvaddr, Some(8));
    let overflow = case("Stack overflow detected at 0x42001234, possibly called by 0x42005678\n");
    assert_eq!(values(&overflow, Role::Caller), [0x4200_1234, 0x4200_5678]);
}

#[test]
fn fatal_errors_of_zephyr_are_one_finding_each() {
    let err = |lines: &str| -> String {
        lines.lines().map(|line| format!("[00:00:01.000,000] <err> os: {line}\n")).collect()
    };
    let arm = "***** MPU FAULT *****\n  Data Access Violation\n  MMFAR Address: 0x4\n\
        r0/a1:  0x20000e80  r1/a2:  0x00000000  r2/a3:  0x00000001\n\
        r3/a4:  0x00000000 r12/ip:  0x00000000 r14/lr:  0x0800050f\n xpsr:  0x61000000\n\
        Faulting instruction address (r15/pc): 0x0800052c\n\
        >>> ZEPHYR FATAL ERROR 19: Unknown error on CPU 0\nCurrent thread: 0x20000e80 (sensor)\nHalting system\n";
    for log in [arm.to_owned(), err(arm)] {
        let crash = case(&log);
        assert_eq!((crash.kind, crash.task.as_deref()), (Kind::Exception, Some("sensor")));
        assert_eq!((crash.registers.epc1, crash.registers.excvaddr), (Some(0x0800_052c), Some(4)));
        assert_eq!(values(&crash, Role::Ra), [0x0800_050f]);
        assert!(crash.words().contains("Data Access Violation"), "{}", crash.words());
        assert!(crash.damaged.is_empty(), "{:?}", crash.damaged);
    }
    let riscv = "E:  mcause: 5, Load access fault\nE:   mtval: 8\nE:      a0: 00000000    t0: 42017e74\n\
        E:      ra: 420052b8\nE:    mepc: 4200a1e6\nE: mstatus: 00001880\nE: \nE: call trace:\n\
        E:       0: sp: 200320b4 ra: 42009d24\nE: \nE: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\n\
        E: Current thread: 0x3fc83f1c (main)\nE: Halting system\n";
    let crash = case(riscv);
    assert_eq!((crash.registers.epc1, crash.registers.excvaddr), (Some(0x4200_a1e6), Some(8)));
    assert_eq!(values(&crash, Role::Ra), [0x4200_52b8, 0x4200_9d24]);
    let xtensa = " ** FATAL EXCEPTION\n ** CPU 0 EXCCAUSE 28 (load prohibited)\n\
        \x20**  PC 0x400d1234 VADDR 0x00000004\n **  PS 0x00060b20\n\
        \x20**  A0 0x800d8f7c  SP 0x3ffb5c80  A2 0x00000000  A3 0x00000000\n\
        Backtrace:0x400d1231:0x3ffb5c80 0x400d8f79:0x3ffb5ca0\n\
        >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\nCurrent thread: 0x3ffb1234 (main)\n";
    let crash = case(xtensa);
    assert_eq!((crash.registers.cause, crash.registers.excvaddr), (Some(28), Some(4)));
    assert_eq!(values(&crash, Role::Backtrace).len(), 2);
    let old = "***** HARD FAULT *****\n  Fault escalation (see below)\n***** USAGE FAULT *****\n\
        \x20 Unaligned memory access\n***** Hardware exception *****\nCurrent thread ID = 0x20000344\n\
        Faulting instruction address = 0xd8a\nFatal fault in thread 0x20000344! Aborting.\n";
    assert_eq!(case(old).registers.epc1, Some(0xd8a));
    for (text, kind) in [
        ("ZEPHYR FATAL ERROR 2: Stack overflow on CPU 0", Kind::StackOverflow),
        ("ZEPHYR FATAL ERROR 3: Kernel oops on CPU 0", Kind::Panic),
        ("ZEPHYR FATAL ERROR 4: Kernel panic on CPU 0", Kind::Panic),
        ("***** Kernel Panic! *****", Kind::Panic),
        (
            "ASSERTION FAIL [x == 1] @ kernel/sem.c:136\n>>> ZEPHYR FATAL ERROR 3: Kernel oops on CPU 0",
            Kind::Panic,
        ),
    ] {
        assert_eq!(case(&err(text)).kind, kind, "{text}");
    }
    let two = format!("{}*** Booting Zephyr OS build v3.5.0 ***\n{}", err(arm), err(arm));
    assert_eq!(kinds(&two), [Kind::Exception; 2]);
}

#[test]
fn a_call_trace_of_zephyr_that_has_return_addresses_alone_is_part_of_its_crash() {
    let log = "E:  mcause: 5, Load access fault\nE:   mtval: 0\nE:      ra: 4200111a\n\
        E:    mepc: 42001112\nE: \nE: call trace:\nE:       0: ra: 4200111a\n\
        E:       1: ra: 42002222\nE: \nE: >>> ZEPHYR FATAL ERROR 0: CPU exception on CPU 0\n";
    assert_eq!(values(&case(log), Role::Ra), [0x4200_111a, 0x4200_111a, 0x4200_2222]);
}

#[test]
fn registers_of_64_bits_are_reported_and_are_not_damaged() {
    let crash = case(include_str!("../../cases/zephyr-riscv64.log"));
    assert_eq!(crash.damaged, []);
    let others = &crash.registers.others;
    assert_eq!((others["mepc"], others["mtval"]), (0xffff_ffff_8000_12fa, 0xffff_ffff_8000_0010));
    let shown = crash.decoded(None).registers["mepc"].to_string();
    assert_eq!(shown, "0xffffffff800012fa");
    let crash = case(include_str!("../../cases/zephyr-arm64.log"));
    assert_eq!((crash.kind, crash.damaged.len()), (Kind::Exception, 0));
    assert_eq!((crash.registers.epc1, crash.registers.excvaddr), (Some(0x4000_1a2c), Some(8)));
    assert_eq!(crash.registers.others["esr"], 0x9600_0046);
    assert!(crash.words().contains("Data Abort"), "{}", crash.words());
    assert_eq!(crash.task.as_deref(), Some("main"));
}

#[test]
fn a_crash_of_nuttx_is_one_finding_with_its_registers() {
    let place = |crash: &Finding| crash.panic.as_ref().map(Panic::place).unwrap_or_default();
    let crash = case(include_str!("../../cases/nuttx-riscv64.log"));
    assert_eq!((crash.kind, crash.line), (Kind::Exception, 1));
    assert!(crash.words().contains("Load access fault"), "{}", crash.words());
    assert_eq!((crash.registers.epc1, crash.registers.excvaddr), (Some(0x8000_ad8a), Some(8)));
    assert_eq!(crash.registers.others["ra"], 0x8000_7d72);
    assert_eq!(crash.task.as_deref(), Some("hello"));
    assert_eq!(place(&crash), "common/riscv_exception.c:131");
    let crash = case(include_str!("../../cases/nuttx-riscv32.log"));
    assert_eq!((crash.kind, crash.task.as_deref()), (Kind::Panic, Some("init")));
    assert_eq!(place(&crash), "chip/esp32c3_irq.c:312");
    assert_eq!(values(&crash, Role::Epc1), [0x4200_3f5e]);
    assert!(values(&crash, Role::Stack).contains(&0x4200_5678));
    let crash = case(include_str!("../../cases/nuttx-xtensa.log"));
    assert_eq!((crash.kind, crash.registers.cause), (Kind::Exception, Some(29)));
    assert_eq!(values(&crash, Role::Epc1), [0x400d_1234]);
    assert_eq!(crash.task.as_deref(), Some("nsh_main"));
    let crash = case(include_str!("../../cases/nuttx-arm.log"));
    assert_eq!((crash.kind, crash.line), (Kind::Exception, 1));
    assert_eq!(values(&crash, Role::Epc1), [0x0800_4678]);
    assert_eq!(crash.registers.others["cfsr"], 0x8200);
    assert_eq!(place(&crash), "armv7-m/arm_hardfault.c:175");
}

#[test]
fn a_hard_fault_of_a_bare_cortex_m_is_an_exception() {
    let log = "HardFault: CFSR=0x00000082 at 0x00000004 pc=0x00001234 lr=0x00001235\n\
        r4=0x00000000 r5=0x00000000\n\n>>>stack>>>\n\nctx: cont\nsp: 2000ff00 end: 20010000 offset: 0000\n\
        2000ff00:  00001235 00000000 00000000 00004e8b  \n<<<stack<<<\n";
    let crash = case(log);
    assert_eq!((crash.kind, crash.registers.excvaddr), (Kind::Exception, Some(4)));
    assert_eq!(values(&crash, Role::Stack), [0x1235, 0x4e8b]);
    let overflow = format!("Stack overflow detected\n{log}");
    assert_eq!(case(&overflow).kind, Kind::StackOverflow);
}

#[test]
fn older_words_of_esp_idf_are_known() {
    for (text, kind, words) in [
        (
            "Guru Meditation Error of type LoadProhibited occurred on core  0. Exception was unhandled.",
            Kind::Exception,
            "LoadProhibited",
        ),
        (
            "heap 4Guru Meditation Error: Core  0 panic'ed (Double exception).",
            Kind::Exception,
            "another one",
        ),
        (
            "Guru Meditation Error: Core  1 panic'ed (Interrupt wdt timeout on CPU1)",
            Kind::Exception,
            "interrupts were off",
        ),
        (
            "Guru Meditation Error: Core  0 panic'ed (Cache disabled but cached memory region accessed)",
            Kind::Exception,
            "flash",
        ),
        (
            "CORRUPT HEAP: Bad head at 0x3ffb9c00. Expected 0xabba1234 got 0x3ffb9d10\nassert failed: multi_heap_free multi_heap_poisoning.c:259 (head != NULL)",
            Kind::Panic,
            "CORRUPT HEAP",
        ),
        (
            "ESP_ERROR_CHECK failed: esp_err_t 0x103 (ESP_ERR_INVALID_STATE) at 0x400d1234",
            Kind::Panic,
            "0x103",
        ),
        (
            "E (10316) task_wdt: Task watchdog got triggered. The following tasks did not reset the watchdog in time:\nE (10316) task_wdt:  - IDLE (CPU 0)\nE (10316) task_wdt: Aborting.\n\nabort() was called at PC 0x400e1234 on core 0",
            Kind::Abort,
            "task watchdog",
        ),
    ] {
        let crash = case(text);
        assert_eq!(crash.kind, kind, "{text}");
        assert!(crash.words().contains(words), "{}", crash.words());
    }
    let assertion = case(
        "assertion \"head != NULL\" failed: file \"/idf/heap.c\", line 214, function: multi_heap_free\nabort() was called at PC 0x400d2233 on core 0\n",
    );
    let place = assertion.panic.unwrap();
    assert_eq!(
        (place.place().as_str(), place.function.as_deref()),
        ("/idf/heap.c:214", Some("multi_heap_free"))
    );
    for log in [
        "Task watchdog got triggered.",
        "I said Guru Meditation Error: Core 0 panic'ed (x) and so on",
        "it says 'panicked at src/main.rs:41:9'",
        "ERROR we panicked at lunch",
        "the ZEPHYR FATAL ERROR 4: is known",
        "Current thread: 0x20000e08 (logging)",
        "*** Booting Zephyr OS build v3.5.0 ***",
    ] {
        assert_eq!(kinds(&format!("{log}\n")), [], "{log}");
    }
}

#[test]
fn a_text_that_is_cut_is_still_the_same_crash() {
    let whole = "***ERROR*** A stack overflow in task net_worker has been detected.";
    for end in "***ERROR*** A".len()..whole.len() {
        let crash = case(&whole[..end]);
        assert_eq!((crash.kind, crash.cut), (Kind::StackOverflow, end + 1 < whole.len()), "{end}");
    }
    for start in 1.."***ERROR*** A stack ".len() {
        assert_eq!(case(&whole[start..]).task.as_deref(), Some("net_worker"), "{start}");
    }
    let guru = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.";
    for end in "Guru Meditation Error: Core  0".len()..guru.len() {
        assert_eq!(case(&guru[..end]).kind, Kind::Exception, "{end}");
    }
}

#[test]
fn dumps_without_their_head_are_reported_and_cut() {
    let rows = "3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f  \n\
        3fffffa0:  feefeffe feefeffe 3ffe3fd0 4020115d  \n3fffffb0:  feefeffe feefeffe 3ffe3bd0 40103182  \n";
    let words = [0x4020_ff4f, 0x4020_115d, 0x4010_3182];
    for log in [
        format!("up\n{rows}<<<stack<<<\n"),
        format!("up\nsp: 3ffffe00 end: 3fffffd0 offset: 0190\n{rows}"),
        format!(
            "up\n>>>stack>>>\n{}",
            rows.replace(' ', " 0x")
                .replace(" 0x 0x", " 0x")
                .replace("0x \n", "\n")
                .replace("3fffff", "0x3fffff")
        ),
        format!("up\n{rows}"),
    ] {
        let crash = case(&log);
        assert_eq!((crash.kind, crash.line, crash.cut), (Kind::StackDump, 2, true), "{log}");
        assert_eq!(values(&crash, Role::Stack), words, "{log}");
    }
    // Without the mark, after a cause.
    let crash = case(&format!("Exception (29):\n{REGISTERS}\n{rows}<<<stack<<<\n"));
    assert_eq!((values(&crash, Role::Stack), crash.cut), (words.to_vec(), false));
    // Nothing but paint.
    let paint = ">>>stack>>>\n3fffff90:  feefeffe feefeffe feefeffe feefeffe\n<<<stack<<<\n";
    let crash = case(paint);
    assert_eq!((crash.kind, crash.addresses.len()), (Kind::StackDump, 0));
    assert!(crash.notes[0].contains("frames are lost"));
    let esp32 =
        "PC      : 0x400dedd5  PS      : 0x0015d263  A0      : 0x800d3ad5  A1      : 0x3ffb23f0\n";
    assert!(case(esp32).cut);
    let epcvaddr = "Fatal exception 29(StoreProhibitedCause):\nepc1=0x40201234, epc2=0x00000000, epc3=0x00000000, epcvaddr=0x00000000, depc=0x00000000, rtn_addr=0x40204321\n";
    let crash = case(epcvaddr);
    assert_eq!((crash.registers.excvaddr, values(&crash, Role::Ra)), (Some(0), vec![0x4020_4321]));
}

#[test]
fn damaged_numbers_are_reported_and_are_no_addresses() {
    let damaged = |log: &str| -> Vec<(u64, String)> {
        case(log).damaged.into_iter().map(|found| (found.line, found.text)).collect()
    };
    let log = format!("Exception (29):\n{}\n", REGISTERS.replace("40201f23", "4020123"));
    assert_eq!(damaged(&log), [(2, "epc1=0x4020123".into())]);
    assert_eq!(case(&log).registers.epc1, None);
    assert_eq!(values(&case(&log), Role::Epc1), [] as [u32; 0]);
    for (word, text) in
        [("4020ff4", "4020ff4"), ("4020ff4f1", "4020ff4f1"), ("4020fg4f", "4020fg4f")]
    {
        let log = format!(
            "Abort called\n>>>stack>>>\n3fffff90:  00000000 {word} 3ffefe60 4020115d\n<<<stack<<<\n"
        );
        assert_eq!(damaged(&log), [(3, text.into())]);
        assert_eq!(values(&case(&log), Role::Stack), [0x4020_115d]);
    }
    let log = "Abort called\n>>>stack>>>\n3fffff90:  00000000 00000000 3ffefe60 4020ff4\n3fffffa0:  00000000 00000000 3ffefe60 4020115d\n<<<stack<<<\n";
    assert_eq!(damaged(log), [(3, "4020ff4".into())]);
    let log = "abort() was called at PC 0x400d223 on core 1\nBacktrace: 0x400d12340x3ffb1f60 0x400d1e8b:0x3ffb1f80\n";
    assert_eq!(values(&case(log), Role::Backtrace), [0x400d_1e8b]);
    assert_eq!((values(&case(log), Role::Caller), damaged(log).len()), (vec![], 2));
    let log = "panicked at src/main.rs:41:9:\nno\n\nBacktrace:\n\n0x420035d\n0x420082d8\n";
    assert_eq!(damaged(log), [(6, "0x420035d".into())]);
    let log = format!("Exception (29):\n{REGISTERS}\nlast failed alloc call: 4020294(512)\n");
    assert_eq!((damaged(&log).len(), case(&log).failed_alloc), (1, None));
}

#[test]
fn the_dump_of_the_other_core_is_left_out() {
    let registers =
        "PC      : 0x400dedd5  PS      : 0x0015d263  A0      : 0x800d3ad5  A1      : 0x3ffb23f0\n";
    let log = format!(
        "Guru Meditation Error: Core  0 panic'ed (Interrupt wdt timeout on CPU0).\nCore  0 register dump:\n{registers}Backtrace: 0x400dedd2:0x3ffb1f60 |<-CONTINUES\n\nCore  1 register dump:\n{}Backtrace: 0x400d0fff:0x3ffb1f60\n",
        registers.replace("400dedd5", "400d0000")
    );
    let crash = case(&log);
    assert_eq!(values(&crash, Role::Epc1), [0x400d_edd5]);
    assert_eq!(values(&crash, Role::Backtrace), [0x400d_edd2]);
    assert_eq!(crash.notes.len(), 2);
}

proptest! {
    #[test]
    fn what_is_kept_of_a_log_is_bounded(lines in prop::collection::vec(line(), 0..60)) {
        let log = lines.join(&b'\n');
        for finding in decode(&String::from_utf8_lossy(&log)) {
            let crash = finding.decoded(None);
            prop_assert!(crash.damaged.len() <= 16 && crash.registers.len() <= 70);
            prop_assert!(crash.cause_words.chars().count() <= 2_000);
            prop_assert!(!crash.to_string().replace('\n', "").chars().any(char::is_control));
        }
    }
}

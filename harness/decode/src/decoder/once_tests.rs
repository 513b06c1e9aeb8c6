//! What counts as one crash, and what as a boot loop.

use super::tests::{REGISTERS, decode, kinds, values};
use crate::finding::{Kind, Role};

const STACK: &str = ">>>stack>>>\n3fffff90:  3fff2450 00000000 3ffefe60 4020ff4f\n<<<stack<<<\n";
const ROM: &str =
    " ets Jan  8 2013,rst cause:2, boot mode:(3,6)\nload 0x4010f000, len 1384, room 16\n";
const ROM4: &str =
    " ets Jan  8 2013,rst cause:4, boot mode:(3,6)\n\nwdt reset\nload 0x4010f000, len 1\n";

fn crash() -> String {
    format!("Exception (29):\n{REGISTERS}\n{STACK}")
}

fn crashes(log: &str) -> Vec<Kind> {
    kinds(log).into_iter().filter(|kind| *kind != Kind::Start).collect()
}

#[test]
fn one_crash_in_several_words_is_one() {
    let sdk = REGISTERS.replace(' ', ", ");
    for (log, kind) in [
        // The SDK and the core.
        (format!("Fatal exception 29(StoreProhibitedCause):\n{sdk}\n{}", crash()), Kind::Exception),
        (format!("Fatal exception (29):\n{sdk}\n\n{}", crash()), Kind::Exception),
        (format!("{}Fatal exception (29):\n{sdk}\n", crash()), Kind::Exception),
        // The same dump twice.
        (crash().repeat(2), Kind::Exception),
        (
            "***ERROR*** A stack overflow in task loopTask has been detected.\nabort() was called at PC 0x40084d94 on core 0\nBacktrace: 0x40084b64:0x3ffb8580\n".into(),
            Kind::StackOverflow,
        ),
        (
            "Stack smashing protect failure!\n\nabort() was called at PC 0x40084d94 on core 0\n".into(),
            Kind::StackSmashed,
        ),
        (
            "abort() was called at PC 0x400882ea on core 1\nI (5) other: core\nGuru Meditation Error: Core  1 panic'ed (abort)\n".into(),
            Kind::Abort,
        ),
        (
            "assertion \"x > 0\" failed: file \"main.c\", line 12, function: app_main\nabort() was called at PC 0x400882ea on core 1\n".into(),
            Kind::Panic,
        ),
        (
            "terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n\nabort() was called at PC 0x400882ea on core 1\n".into(),
            Kind::UnhandledException,
        ),
    ] {
        assert_eq!(crashes(&log), [kind], "{log}");
    }
    let found = decode(&format!("Fatal exception (29):\n{sdk}\n{}", crash()));
    assert_eq!((found[0].line, found[0].cut), (1, false));
    assert_eq!(values(&found[0], Role::Stack), [0x4020_ff4f]);
}

#[test]
fn a_watchdog_after_a_crash_is_not_another_one() {
    let crash = crash();
    let esp32 = "rst:0x7 (TG0WDT_SYS_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n";
    let rtc = "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\nets_main.c 371 \n";
    let guru = "Guru Meditation Error: Core  0 panic'ed (LoadProhibited). Exception was unhandled.\nBacktrace: 0x40084b64:0x3ffb8580\n";
    for log in [
        format!("{crash}{ROM}{ROM4}setup\n"),
        format!("{crash}{ROM4}"),
        format!(
            "{crash}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\nwdt reset\nload 0x4010f000, len 1\n"
        ),
        format!("{guru}{esp32}{rtc}"),
    ] {
        assert_eq!(crashes(&log), [Kind::Exception], "{log}");
    }
    // Where the firmware ran again, it is.
    let again = format!("{crash}{ROM}setup\njoined\nMQTT up\n{ROM4}");
    assert_eq!(crashes(&again), [Kind::Exception, Kind::HardwareWatchdog]);
}

#[test]
fn two_crashes_with_few_lines_between_them_are_two() {
    let crash = crash();
    for (log, both) in [
        (format!("{crash}setup\njoined\n{crash}"), [Kind::Exception; 2]),
        (
            format!("Soft WDT reset\nsetup\njoined\n{crash}"),
            [Kind::SoftWatchdog, Kind::Exception],
        ),
        (
            "abort() was called at PC 0x400882ea on core 1\nup\nGuru Meditation Error: Core  1 panic'ed (LoadProhibited)\n".into(),
            [Kind::Abort, Kind::Exception],
        ),
        (
            format!("Fatal exception (29):\n{REGISTERS}\n").repeat(2),
            [Kind::Exception; 2],
        ),
        (
            "===== PANIC =====\npanicked at a.rs:1:2:\none\n\nup\nup\npanicked at b.rs:3:4:\ntwo\n".into(),
            [Kind::Panic; 2],
        ),
    ] {
        assert_eq!(crashes(&log), both, "{log}");
    }
}

#[test]
fn a_dump_that_the_firmware_saved_and_prints_again_is_no_second_crash() {
    let saved = format!("{}{ROM}setup\nSaved dump:\n{}", crash(), crash());
    let runs = "I run\n".repeat(6);
    assert_eq!(crashes(&format!("{saved}{runs}")), [Kind::Exception]);
    // It crashes at the same place again: the chip starts.
    assert_eq!(crashes(&format!("{saved}{ROM}{runs}")), [Kind::Exception; 2]);
}

#[test]
fn an_empty_stack_mark_takes_nothing_of_what_follows() {
    assert_eq!(crashes(&format!(">>>stack>>>\nup\n{ROM4}")), [Kind::HardwareWatchdog]);
    let found = decode(&format!(">>>stack>>>\nup\n{REGISTERS}\n"));
    assert_eq!(found.iter().map(|f| (f.kind, f.line)).collect::<Vec<_>>(), [(Kind::Exception, 3)]);
    let log = format!("Soft WDT reset\n>>>stack>>>\n{}", crash());
    assert_eq!(crashes(&log), [Kind::SoftWatchdog, Kind::Exception]);
    assert!(decode(&log)[0].cut);
    // Rows long after the mark are of another dump.
    let log = "Abort called\n>>>stack>>>\na\nb\nc\nd\n40201f20 40201f20\n";
    assert_eq!(values(&decode(log)[0], Role::Stack), [] as [u32; 0]);
}

#[test]
fn only_crashes_and_watchdogs_make_a_boot_loop() {
    let loops = |log: &str| kinds(log).contains(&Kind::BootLoop);
    for start in [
        "rst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n",
        "rst:0xc (SW_CPU_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n",
        "rst:0x5 (DEEPSLEEP_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\n",
        " ets Jan  8 2013,rst cause:1, boot mode:(3,6)\n",
        ROM,
    ] {
        assert!(!loops(&format!("{start}up\n").repeat(8)), "{start}");
        let crashed =
            format!("Guru Meditation Error: Core  0 panic'ed (LoadProhibited)\n{start}up\n");
        let from_outside = ["0x1 ", "0x5 ", "cause:1"].iter().any(|cause| start.contains(cause));
        assert_eq!(loops(&crashed.repeat(4)), !from_outside, "{start}");
    }
    assert!(loops(&format!("{ROM4}up\n").repeat(3)));
    let rtc = "rst:0x10 (RTCWDT_RTC_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\nets_main.c 371 \n";
    assert!(loops(&rtc.repeat(3)));
}

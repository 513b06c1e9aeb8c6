use super::*;
use crate::decoder::Decoder;
use crate::test_elf::{BEHIND_CALL, BEHIND_CALLX, LOOP, elf};

fn decoded(log: &str, firmware: Option<&Firmware>) -> Vec<Crash> {
    let mut all = Vec::new();
    let mut decoder = Decoder::default();
    decoder.feed(log.as_bytes(), |finding| all.push(finding.decoded(firmware)));
    decoder.finish(|finding| all.push(finding.decoded(firmware)));
    all
}

fn log() -> String {
    format!(
        "Exception (29):\n\
         epc1=0x{LOOP:08x} epc2=0x00000000 epc3=0x00000000 excvaddr=0x00000004 depc=0x00000000\n\n\
         >>>stack>>>\n\nctx: cont\nsp: 3ffffdd0 end: 3fffffc0 offset: 0190\n\
         3ffffdd0:  {BEHIND_CALL:08x} 40210028 40211234 {BEHIND_CALLX:08x}  \n<<<stack<<<\n\n\
         last failed alloc call: {BEHIND_CALL:08X}(1460)\n\n\
         \x20ets Jan  8 2013,rst cause:2, boot mode:(3,6)\n"
    )
}

#[test]
fn as_text_the_frames_line_up() {
    let firmware = Firmware::read(&elf(true)).unwrap();
    let text = decoded(&log(), Some(&firmware))[0].to_string();
    let expected = "\
line 1: Exception (29): write to an address that must not be written: a null pointer, most likely of an allocation that failed and was not checked
  it used address 0x00000004
  the last allocation that failed: 1460 B, asked for in front of 0x40210027
  then the chip started: reset cause 2, boot mode (3,6)
  epc1          0x40210020  Net::loop()  /src/net.cpp:10
  stack         0x40210027  Net::loop()  /src/net.cpp:12
  stack         0x40210033  Net::loop()  /src/net.cpp:13
  failed alloc  0x40210027  Net::loop()  /src/net.cpp:12
";
    assert_eq!(text, expected);
}

#[test]
fn as_json_every_key_is_there() {
    let json = serde_json::to_value(&decoded(&log(), None)[0]).unwrap();
    let expected = serde_json::json!({
        "kind": "exception", "line": 1, "cause": 29,
        "cause_words": "write to an address that must not be written: a null pointer, most \
                        likely of an allocation that failed and was not checked",
        "epc1": "0x40210020", "epc2": "0x00000000", "epc3": "0x00000000",
        "excvaddr": "0x00000004", "depc": "0x00000000",
        "failed_alloc": {"caller": "0x40210027", "bytes": 1460},
        "rst_cause": 2, "boot_mode": [3, 6], "cut": false,
        "frames": [
            frame_json("epc1", "0x40210020"),
            // Without an ELF, every word that may be an address of code.
            frame_json("stack", "0x40210027"),
            frame_json("stack", "0x40210028"),
            frame_json("stack", "0x40211234"),
            frame_json("stack", "0x40210033"),
            frame_json("failed_alloc", "0x40210027"),
        ],
        "evidence": [], "task": null, "panic": null, "registers": {}, "damaged": [], "note": null,
    });
    assert_eq!(json, expected);
}

fn frame_json(role: &str, address: &str) -> serde_json::Value {
    serde_json::json!({
        "role": role, "address": address, "function": null, "file": null, "line": null,
        "inlined": false,
    })
}

#[test]
fn a_dump_of_another_firmware_is_said_to_be_one() {
    let firmware = Firmware::read(&elf(true)).unwrap();
    let other = log().replace("4021", "4022");
    let found = decoded(&other, Some(&firmware));
    assert!(found[0].note.as_deref().is_some_and(|note| note.contains("another firmware")));
    assert_eq!(decoded(&log(), Some(&firmware))[0].note, None);
    let without_lines = Firmware::read(&elf(false)).unwrap();
    let found = decoded(&log(), Some(&without_lines));
    assert!(found[0].note.as_deref().is_some_and(|note| note.contains("-g")));
    assert_eq!(found[0].frames[0].function.as_deref(), Some("Net::loop()"));
    // An address of the ROM shows nothing of the build.
    let rom = "Exception (29):\nepc1=0x4000e1b2 epc2=0x0 epc3=0x0 excvaddr=0x0 depc=0x0\n";
    let found = decoded(rom, Some(&firmware));
    assert_eq!(found[0].note, None);
    assert_eq!(found[0].frames[0].function.as_deref(), Some("memset"));
    assert!(decoded(rom, None)[0].to_string().contains("the chip's ROM"));
}

#[test]
fn of_a_long_stack_the_top_is_reported() {
    let row = format!("3ffffdd0:  {BEHIND_CALL:08x} {BEHIND_CALL:08x} 00000000 00000000\n");
    let log = log().replace("<<<stack<<<", &format!("{}<<<stack<<<", row.repeat(60)));
    let found = decoded(&log, Some(&Firmware::read(&elf(true)).unwrap()));
    let of_stack = found[0].frames.iter().filter(|frame| frame.role == Role::Stack).count();
    assert_eq!(of_stack, MOST_STACK_FRAMES);
    assert_eq!(found[0].frames.last().unwrap().role, Role::FailedAlloc);
}

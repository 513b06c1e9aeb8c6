//! Causes of crashes in words.

/// An Xtensa exception cause in words.
pub fn cause_words(cause: u32) -> &'static str {
    match cause {
        0 => "illegal instruction",
        1 => "system call",
        2 => "instruction fetch error",
        3 => "load or store error",
        4 => "interrupt without a handler",
        5 => "stack could not be extended",
        6 => "division by zero",
        8 => "privileged instruction",
        9 => "unaligned address",
        20 => "jump to an address without code",
        28 => "read from an address that must not be read (near 0: a null pointer)",
        29 => "write to an address that must not be written (near 0: a null pointer)",
        _ => "a cause that the chip's documentation does not list",
    }
}

/// A firmware's name for the cause of a crash, in words where there are better ones.
pub fn guru_words(what: &str) -> String {
    let words = match what {
        "IllegalInstruction" | "Illegal instruction" => cause_words(0),
        "InstrFetchProhibited" | "Instruction access fault" | "Instruction Access fault" => {
            cause_words(20)
        }
        "LoadProhibited" | "Load access fault" => cause_words(28),
        "StoreProhibited" | "Store access fault" | "Store/AMO access fault" => cause_words(29),
        "LoadStoreAlignment" | "LoadStoreAlignmentCause" => cause_words(9),
        "Load address misaligned" | "Store address misaligned" | "Store/AMO address misaligned" => {
            cause_words(9)
        }
        "LoadStoreError" => cause_words(3),
        "IntegerDivideByZero" => cause_words(6),
        "Double exception" => "an exception while another one was being handled",
        what if what.starts_with("Interrupt wdt timeout") => {
            "interrupt watchdog: interrupts were off for too long"
        }
        what if what.starts_with("Cache disabled but cached memory region accessed") => {
            "code or data in flash was used while the flash was being written"
        }
        "" => return "a panic; the line with its cause is cut".to_owned(),
        what => return what.to_owned(),
    };
    format!("{what}: {words}")
}

/// Whether a firmware's name for a cause is of an access through a pointer.
pub fn is_access(what: &str) -> bool {
    let what = what.to_ascii_lowercase();
    ["load", "store", "data access violation", "mpu fault", "bus fault"]
        .iter()
        .any(|name| what.starts_with(name))
        && !what.contains("align")
}

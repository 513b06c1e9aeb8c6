//! Finding a debug probe and opening it.

use hilrig_core::board::BoardFault;
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeInfo, DebugProbeSelector};
use probe_rs::{Error, Permissions, Session};

/// The probe that matches `selector` (`VID:PID[:SERIAL]`), or the only one that is attached.
pub fn find(selector: Option<&str>) -> Result<DebugProbeInfo, BoardFault> {
    let tried = || match selector {
        Some(probe) => format!("looking for the debug probe {probe}"),
        None => "looking for a debug probe".into(),
    };
    let parsed = selector.map(str::parse::<DebugProbeSelector>).transpose().map_err(|error| {
        BoardFault::new(tried(), error)
            .help("`probe` is VID:PID or VID:PID:SERIAL, as `hilrig boards` lists it.")
    })?;
    let mut found = Lister::new().list(parsed.as_ref());
    // One probe with several interfaces is one.
    found.dedup_by_key(|probe| name(probe));
    match &*found {
        [probe] => Ok(probe.clone()),
        [] => Err(BoardFault::new(tried(), "there is none").help(
            "Check its USB cable, and whether probe-rs knows it; `hilrig boards` lists what is attached.",
        )),
        several => {
            let names: Vec<String> = several.iter().map(name).collect();
            Err(BoardFault::new(tried(), format!("there are {}: {}", names.len(), names.join(", ")))
                .help("Name one of them under `probe` in the configuration."))
        }
    }
}

/// What selects this probe and no other of its kind.
pub fn name(probe: &DebugProbeInfo) -> String {
    let name = format!("{:04x}:{:04x}", probe.vendor_id, probe.product_id);
    match &probe.serial_number {
        Some(serial) => format!("{name}:{serial}"),
        None => name,
    }
}

/// Opens the probe and attaches to the chip, which runs on.
pub fn open(probe: &DebugProbeInfo, chip: &str) -> Result<Session, Error> {
    probe.open()?.attach(chip, Permissions::default())
}

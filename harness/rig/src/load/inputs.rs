//! Everything that a run reads before it touches anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hilrig_core::config::{BoardConfig, BoardKind, Config};
use hilrig_core::contract::Contract;
use hilrig_core::event::FirmwareFacts;
use hilrig_core::image::Image;
use hilrig_core::scenario::ScenarioRun;
use hilrig_report::heap::{BASELINE, Baseline, BaselineError};

use super::image::{keeps_callers, take_callers_images};
use super::{BoardSelection, elf};
use crate::{Elf, Error, Plan, load};

/// All that is read before anything is touched.
pub struct RunInputs {
    pub config: Config,
    pub chosen: Vec<BoardConfig>,
    pub contract: Contract,
    pub images: BTreeMap<BoardKind, Image>,
    pub firmware: Vec<FirmwareFacts>,
    pub elves: BTreeMap<BoardKind, Elf>,
    /// Why there is no ELF file, where there is none.
    pub without_elf: Vec<String>,
    pub settings: BTreeMap<String, String>,
    /// Values that must be shown nowhere.
    pub secrets: Vec<String>,
    /// The heap figures that were accepted, which the page compares with.
    pub baseline: Option<Baseline>,
}

impl RunInputs {
    /// Reads what the configuration names.
    pub fn read(
        mut config: Config,
        boards: &BoardSelection,
        callers: bool,
    ) -> Result<RunInputs, Error> {
        if callers {
            take_callers_images(&mut config);
        }
        let baseline = accepted(&config)?;
        let chosen = super::choose(&config, boards)?;
        let contract = load::contract(&config)?;
        let kinds: BTreeSet<BoardKind> = chosen.iter().map(|board| board.kind).collect();
        let images = kinds
            .into_iter()
            .map(|kind| Ok((kind, load::image(&config, &contract, kind)?)))
            .collect::<Result<BTreeMap<BoardKind, Image>, Error>>()?;
        let mut elves = BTreeMap::new();
        let mut without_elf = Vec::new();
        let mut firmware = Vec::new();
        for (kind, image) in &images {
            if callers {
                keeps_callers(&config, *kind)?;
            }
            let elf::OfImage { elf, sections, why } =
                elf::of_image(&config, &contract, *kind, image)?;
            elves.extend(elf.map(|elf| (*kind, elf)));
            without_elf.extend(why);
            let floors = config.firmware[kind].floors.clone();
            firmware.push(FirmwareFacts {
                keeps_callers: callers,
                sections,
                floors,
                ..facts(*kind, image)
            });
        }
        if chosen.iter().any(super::boards::has_boot_rom) {
            load::boot_rom(&config)?;
        }
        let (settings, mut secrets) = load::settings(&config)?;
        secrets.extend(load::power_passwords(&config, &chosen)?);
        Ok(RunInputs {
            config,
            chosen,
            contract,
            images,
            firmware,
            elves,
            without_elf,
            settings,
            secrets,
            baseline,
        })
    }

    /// Where broker and time server listen. Virtual boards find the rig on loopback; a board on the
    /// network must reach it from there.
    pub fn listen(&self) -> Ipv4Addr {
        match self.chosen.iter().all(|board| board.kind.is_virtual()) {
            true => Ipv4Addr::LOCALHOST,
            false => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// What is run of them. `reason` is shown to those who wait for a board.
    pub fn into_plan(
        self,
        scenarios: Vec<ScenarioRun>,
        seed: u64,
        force_flash: bool,
        reason: String,
    ) -> Plan {
        let listen = self.listen().into();
        let RunInputs { config, contract, images, elves, settings, .. } = self;
        Plan {
            contract,
            images,
            elves,
            settings,
            floors: load::floors(&config),
            scenarios,
            seed,
            deadlines: config.deadlines,
            force_flash,
            reason,
            listen,
            broker_port_is_fixed: config.broker.port.is_some(),
        }
    }
}

/// The baseline beside the configuration. One that cannot be read is refused before there is a record.
fn accepted(config: &Config) -> Result<Option<Baseline>, Error> {
    match Baseline::read(&config.path.with_file_name(BASELINE)) {
        Ok(baseline) => Ok(Some(baseline)),
        Err(BaselineError::Missing { .. }) => Ok(None),
        Err(error) => Err(Error::usage(error)),
    }
}

fn facts(kind: BoardKind, image: &Image) -> FirmwareFacts {
    FirmwareFacts {
        kind: kind.name().into(),
        image: image.path.display().to_string(),
        bytes: image.bytes.len() as u64,
        sha256: image.sha256.clone(),
        build: image.build.clone(),
        keeps_callers: false,
        sections: Vec::new(),
        floors: BTreeMap::new(),
    }
}

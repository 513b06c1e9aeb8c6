//! Everything that a run reads before it touches anything.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use hilrig_core::config::{BoardConfig, BoardKind, Config};
use hilrig_core::contract::Contract;
use hilrig_core::event::FirmwareFacts;
use hilrig_core::image::Image;
use hilrig_core::scenario::ScenarioRun;
use hilrig_report::heap::{BASELINE, Baseline, BaselineError};

use super::image::{has_tracing_image, use_tracing_images};
use super::{BoardSelection, elf};
use crate::{Elf, Error, Plan, load};

/// Everything that is read before a board is touched.
pub struct RunInputs {
    /// The configuration.
    pub config: Config,
    /// The boards of the run.
    pub chosen: Vec<BoardConfig>,
    /// The firmware's contract.
    pub contract: Contract,
    /// The image for each kind of board.
    pub images: BTreeMap<BoardKind, Image>,
    /// What the record reports of the images.
    pub firmware: Vec<FirmwareFacts>,
    /// Their ELF files, where there are any.
    pub elves: BTreeMap<BoardKind, Elf>,
    /// Why there is no ELF file, where there is none.
    pub without_elf: Vec<String>,
    /// The form fields, with the values of secrets.
    pub settings: BTreeMap<String, String>,
    /// Values that must not be printed anywhere.
    pub secrets: Vec<String>,
    /// The accepted heap figures; the report page compares with them.
    pub baseline: Option<Baseline>,
}

impl RunInputs {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A file is missing or cannot be used, a board is unknown, or a secret is not in the environment.
    pub fn read(
        mut config: Config,
        boards: &BoardSelection,
        callers: bool,
    ) -> Result<RunInputs, Error> {
        if callers {
            use_tracing_images(&mut config);
        }
        let baseline = accepted(&config)?;
        let chosen = super::choose(&config, boards)?;
        let contract = load::contract(&config)?;
        let kinds: BTreeSet<BoardKind> = chosen.iter().map(|board| board.kind).collect();
        if callers {
            kinds.iter().try_for_each(|kind| has_tracing_image(&config, *kind))?;
        }
        let images = kinds
            .into_iter()
            .map(|kind| Ok((kind, load::image(&config, &contract, kind)?)))
            .collect::<Result<BTreeMap<BoardKind, Image>, Error>>()?;
        let mut elves = BTreeMap::new();
        let mut without_elf = Vec::new();
        let mut firmware = Vec::new();
        for (kind, image) in &images {
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

    /// The plan of the run. `reason` is shown to other runs that wait for one of its boards.
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

/// The baseline next to the configuration. One that cannot be read is refused before the record is created.
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

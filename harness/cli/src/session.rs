//! What a run and a certification share: reading what they go by, and the record's beginning.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::Ipv4Addr;
use std::path::Path;

use hilrig::{Elf, Member};
use hilrig_broker::RunDir;
use hilrig_core::config::{BoardKind, Config};
use hilrig_core::contract::Contract;
use hilrig_core::event::{Events, FirmwareFacts, RunStarted, SCHEMA, What};
use hilrig_core::image::Image;
use hilrig_core::plural::counted;
use hilrig_core::text::Secrets;
use hilrig_report::heap::{BASELINE, Baseline, BaselineError};
use hilrig_report::{BootLog, Record, folder_of};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::error::Failure;
use crate::{bench, commit, elf, limits, load};

/// What the command line says of the boards.
pub struct Boards<'a> {
    /// So many virtual ones.
    pub virtual_boards: Option<usize>,
    /// Their kind.
    pub kind: Option<BoardKind>,
    /// Or those of these names.
    pub names: &'a [String],
    /// They get the image that keeps who holds the heap.
    pub callers: bool,
}

/// All that is read before anything is touched.
pub struct Loaded {
    pub config: Config,
    pub chosen: Vec<bench::Chosen>,
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

impl Loaded {
    /// Reads what the configuration names.
    pub fn read(mut config: Config, boards: &Boards<'_>) -> Result<Loaded, Failure> {
        if boards.callers {
            load::take_callers_images(&mut config);
        }
        let baseline = accepted(&config)?;
        let chosen = bench::choose(&config, boards.virtual_boards, boards.kind, boards.names)?;
        let contract = load::contract(&config)?;
        let kinds: BTreeSet<BoardKind> = chosen.iter().map(|board| board.kind).collect();
        let images = kinds
            .into_iter()
            .map(|kind| Ok((kind, load::image(&config, &contract, kind)?)))
            .collect::<Result<BTreeMap<BoardKind, Image>, Failure>>()?;
        let mut elves = BTreeMap::new();
        let mut without_elf = Vec::new();
        let mut firmware = Vec::new();
        for (kind, image) in &images {
            if boards.callers {
                load::keeps_callers(&config, *kind)?;
            }
            let elf::OfImage { elf, sections, why } =
                elf::of_image(&config, &contract, *kind, image)?;
            elves.extend(elf.map(|elf| (*kind, elf)));
            without_elf.extend(why);
            let keeps_callers = boards.callers;
            let floors = config.firmware[kind].floors.clone();
            firmware.push(FirmwareFacts { keeps_callers, sections, floors, ..facts(*kind, image) });
        }
        if chosen.iter().any(bench::has_boot_rom) {
            load::boot_rom(&config)?;
        }
        let (settings, mut secrets) = load::settings(&config)?;
        secrets.extend(load::power_passwords(&config, &chosen)?);
        Ok(Loaded {
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

    /// The record, in exactly `folder` if that is given, and the run's temporary folder.
    pub fn folders(&self, folder: Option<&Path>, run: &str) -> Result<(Record, RunDir), Failure> {
        limits::enough_files(self.chosen.len())?;
        // First what is taken back if the other cannot be had.
        let run_dir = RunDir::create(run).map_err(|error| {
            Failure::rig(format!(
                "making the run's temporary folder in {}: {error}. Set TMPDIR to a folder that is there and can be written to",
                hilrig_broker::temporary_folder().display()
            ))
        })?;
        let record = match folder {
            Some(folder) => Record::create_at(folder),
            None => Record::create(&self.config.records, run),
        }
        .map_err(Failure::usage)?;
        Ok((record, run_dir))
    }

    /// The first event, and what is to be told behind it.
    pub async fn tell_start(
        &self,
        events: &Events,
        run: &str,
        now: OffsetDateTime,
        seed: u64,
        scenarios: Vec<String>,
    ) -> Result<(), Failure> {
        events.run(What::RunStarted(RunStarted {
            schema: SCHEMA,
            hilrig: env!("CARGO_PKG_VERSION").into(),
            run: run.into(),
            started: now.format(&Rfc3339).map_err(Failure::internal)?,
            seed,
            commit: commit::of(self.config.path.parent()),
            settings: self.config.settings.clone(),
            scenarios,
            floors: self.config.floors.clone(),
            firmware: self.firmware.clone(),
            boards: self.chosen.iter().map(|board| board.name.clone()).collect(),
        }));
        for text in &self.without_elf {
            events.run(What::Note { text: text.clone() });
        }
        hilrig_broker::sweep(&mut |text| events.run(What::Note { text })).await;
        match hilrig_boards::sweep_locks(&bench::lock_folder()) {
            0 => {}
            swept => events.run(What::Note {
                text: format!(
                    "removed {} of ports: the runs that left them ended",
                    counted(swept, "lock")
                ),
            }),
        }
        Ok(())
    }

    /// Where broker and time server listen. Virtual boards find the rig on loopback; a board on the
    /// network must reach it from there.
    pub fn listen(&self) -> Ipv4Addr {
        match self.chosen.iter().all(|board| board.kind.is_virtual()) {
            true => Ipv4Addr::LOCALHOST,
            false => Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// The boards of a bench, each with its place in the record.
pub fn members(
    bench: &mut bench::Bench,
    record: &Record,
    secrets: &Secrets,
    events: &Events,
) -> Result<Vec<Member>, Failure> {
    let boards = bench.take_boards().into_iter();
    boards
        .map(|(board, kind)| {
            let record = BootLog::create(record, board.name(), secrets, events.start())
                .map_err(Failure::rig)?;
            Ok(Member { board, kind, record: Box::new(record) })
        })
        .collect()
}

/// The baseline beside the configuration. One that cannot be read is refused before there is a record.
fn accepted(config: &Config) -> Result<Option<Baseline>, Failure> {
    match Baseline::read(&config.path.with_file_name(BASELINE)) {
        Ok(baseline) => Ok(Some(baseline)),
        Err(BaselineError::Missing { .. }) => Ok(None),
        Err(error) => Err(Failure::usage(error)),
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

/// A seed that no run before had.
pub fn fresh_seed() -> u64 {
    // The clock's nanoseconds and the process: not secret, only different from run to run. 32 bits
    // are short to type, and whole in every reader of JSON (which may stop at 53).
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() as u64;
    (now.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) ^ u64::from(std::process::id())
}

/// Sorts by time; runs that start in one second differ by 32 random bits, because containers that share a
/// folder of records all run as process 1. An id that `records` has already is not given again.
pub fn run_id(now: OffsetDateTime, records: &Path) -> String {
    new_run_id(
        now,
        || RandomState::new().build_hasher().finish() as u32,
        |id| records.join(folder_of(id)).exists(),
    )
}

fn new_run_id(
    now: OffsetDateTime,
    mut random: impl FnMut() -> u32,
    taken: impl Fn(&str) -> bool,
) -> String {
    let format = format_description!("[year][month][day]-[hour][minute][second]");
    let time = now.format(&format).unwrap_or_default();
    loop {
        let id = format!("{time}-{:08x}", random());
        if !taken(&id) {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_taken_is_not_given_again() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut random = [7, 7, 8].into_iter();
        let id = new_run_id(now, || random.next().unwrap(), |id| id.ends_with("-00000007"));
        assert_eq!(id, "19700101-000000-00000008");
    }

    #[test]
    fn ids_of_one_second_differ() {
        let folder = tempfile::tempdir().unwrap();
        let ids: BTreeSet<String> =
            (0..1000).map(|_| run_id(OffsetDateTime::UNIX_EPOCH, folder.path())).collect();
        assert_eq!(ids.len(), 1000);
    }
}

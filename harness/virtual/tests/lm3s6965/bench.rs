//! Boards, and what a rig does with their probes. Nothing here depends on virtual probes.

use std::path::Path;
use std::time::{Duration, Instant};

use hilrig_virtual::lm3s6965::{ArmBoard, ArmBoardConfig, ArmReady};
use hilrig_virtual::{ControlSocket, Serving};
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Object, ObjectSymbol};
use probe_rs::flashing::{DownloadOptions, FlashError, FlashProgress};
use probe_rs::probe::DebugProbeSelector;
use probe_rs::probe::list::Lister;
use probe_rs::rtt::{Rtt, ScanRegion};
use probe_rs::{MemoryInterface, Permissions, Session};

/// For a machine under load; without load nothing here takes a tenth of it.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// A core answers at once.
pub const HALT: Duration = Duration::from_secs(5);

pub struct ArmFolders {
    pub dir: tempfile::TempDir,
}

impl ArmFolders {
    pub fn new() -> ArmFolders {
        ArmFolders { dir: tempfile::tempdir().unwrap() }
    }

    pub fn config(&self, name: &str, seed: u64) -> ArmBoardConfig {
        ArmBoardConfig {
            state_dir: self.dir.path().join(name),
            mac: None,
            seed,
            qemu: "qemu-system-arm".into(),
        }
    }

    pub async fn board(&self, name: &str, seed: u64) -> TestArmBoard {
        TestArmBoard::start(self.config(name, seed)).await
    }
}

pub struct TestArmBoard {
    pub serving: Serving<ArmReady>,
    pub control: ControlSocket,
}

impl TestArmBoard {
    pub async fn start(config: ArmBoardConfig) -> TestArmBoard {
        let serving = ArmBoard::start(config).await.unwrap().serve();
        let control = ControlSocket::new(&serving.ready().control);
        TestArmBoard { serving, control }
    }

    /// Runs a blocking user of the probe, while the board runs here.
    pub async fn rig<T: Send + 'static>(
        &self,
        act: impl FnOnce(Debugger) -> T + Send + 'static,
    ) -> T {
        let ready = self.serving.ready().clone();
        tokio::task::spawn_blocking(move || act(Debugger::attach(&ready))).await.unwrap()
    }
}

/// A session with a board.
pub struct Debugger {
    pub session: Session,
}

/// A rig's console: everything that came over RTT.
pub struct RttReader {
    rtt: Rtt,
    pub text: String,
}

impl Debugger {
    pub fn attach(ready: &ArmReady) -> Debugger {
        let selector: DebugProbeSelector = ready.probe.parse().unwrap();
        let probe = Lister::new().open(selector).unwrap();
        let session = probe.attach(ready.chip.as_str(), Permissions::default()).unwrap();
        Debugger { session }
    }

    /// Flashes an ELF and reads it back; the core is halted then.
    pub fn flash(&mut self, elf: &FirmwareElf) {
        self.try_flash(&elf.segments(), FlashProgress::empty()).unwrap();
    }

    /// The same for any image, with the error as it is reported.
    pub fn try_flash(
        &mut self,
        segments: &[(u64, Vec<u8>)],
        progress: FlashProgress<'_>,
    ) -> Result<(), FlashError> {
        let mut loader = self.session.target().flash_loader();
        for (address, data) in segments {
            loader.add_data(*address, data)?;
        }
        let mut options = DownloadOptions::new();
        options.verify = true;
        options.progress = progress;
        loader.commit(&mut self.session, options)
    }

    pub fn reset(&mut self) {
        self.session.core(0).unwrap().reset().unwrap();
    }

    pub fn word(&mut self, address: u64) -> u32 {
        self.session.core(0).unwrap().read_word_32(address).unwrap()
    }

    pub fn is_halted(&mut self) -> bool {
        self.session.core(0).unwrap().core_halted().unwrap()
    }

    /// Waits for a word in memory while the core runs.
    pub fn wait_for(&mut self, address: u64, what: &str, is: impl Fn(u32) -> bool) -> u32 {
        let until = Instant::now() + DEADLINE;
        loop {
            let word = self.word(address);
            if is(word) {
                return word;
            }
            assert!(Instant::now() < until, "waited {DEADLINE:?} for {what}, it is {word:#x}");
        }
    }

    /// The firmware's console, once it has set one up: one from before a reset does not count.
    pub fn console(&mut self, elf: &FirmwareElf) -> RttReader {
        let region = ScanRegion::Exact(elf.symbol("_SEGGER_RTT"));
        let mut core = self.session.core(0).unwrap();
        let until = Instant::now() + DEADLINE;
        loop {
            match Rtt::attach_region(&mut core, &region) {
                Ok(rtt) => return RttReader { rtt, text: String::new() },
                Err(error) => {
                    assert!(Instant::now() < until, "no console within {DEADLINE:?}: {error}");
                }
            }
        }
    }

    /// Reads the console until a text was seen.
    pub fn expect(&mut self, console: &mut RttReader, text: &str) {
        let until = Instant::now() + DEADLINE;
        let mut core = self.session.core(0).unwrap();
        let mut buffer = [0; 1024];
        while !console.text.contains(text) {
            let up = console.rtt.up_channel(0).unwrap();
            let got = up.read(&mut core, &mut buffer).unwrap();
            console.text.push_str(&String::from_utf8_lossy(&buffer[..got]));
            assert!(
                Instant::now() < until,
                "waited {DEADLINE:?} for `{text}`, got {:?}",
                console.text
            );
        }
    }
}

/// The built firmware.
#[derive(Clone)]
pub struct FirmwareElf {
    bytes: Vec<u8>,
}

impl FirmwareElf {
    /// None, with the reason, where it is not built.
    pub fn built() -> Option<FirmwareElf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../firmware/build/lm3s6965/firmware.elf");
        match std::fs::read(&path) {
            Ok(bytes) => Some(FirmwareElf { bytes }),
            Err(_) => {
                eprintln!("skipped: no {}; build it with `make firmware`", path.display());
                None
            }
        }
    }

    /// What to flash, and where.
    pub fn segments(&self) -> Vec<(u64, Vec<u8>)> {
        let file = ElfFile32::<object::LittleEndian>::parse(self.bytes.as_slice()).unwrap();
        let loaded = |header: &&object::elf::ProgramHeader32<_>| {
            header.p_type(object::LittleEndian) == object::elf::PT_LOAD
                && header.p_filesz(object::LittleEndian) > 0
        };
        let segment = |header: &object::elf::ProgramHeader32<_>| {
            let data = header.data(object::LittleEndian, self.bytes.as_slice()).unwrap();
            (header.p_paddr(object::LittleEndian).into(), data.to_vec())
        };
        file.elf_program_headers().iter().filter(loaded).map(segment).collect()
    }

    /// A symbol's address, without the bit that marks Thumb code.
    pub fn symbol(&self, name: &str) -> u64 {
        let file = object::File::parse(self.bytes.as_slice()).unwrap();
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
        let symbol = symbol.unwrap_or_else(|| panic!("no symbol `{name}`"));
        symbol.address() & !u64::from(symbol.kind() == object::SymbolKind::Text)
    }
}

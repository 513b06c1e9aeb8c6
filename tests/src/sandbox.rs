//! A bench of a test's own: a folder with a configuration, the folder for temporary files, and the
//! state from run to run, apart from those of every other test.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::artifacts;
use crate::processes::{self, MARK, Process};
use crate::record::Record;
use crate::running::{EndedProgram, RunningProgram};

/// The bench.
pub struct Sandbox {
    folder: tempfile::TempDir,
    mark: String,
}

impl Sandbox {
    /// A bench with one virtual board and a broker that is a process, all deadlines generous.
    #[allow(clippy::new_without_default, reason = "it makes a folder and writes into it")]
    pub fn new() -> Sandbox {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::Builder::new().prefix("hilrig-test-").tempdir();
        let folder = folder.expect("the folder for temporary files can be written to");
        // As hilrig will see it, so that paths in its output are known.
        let mark = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let bench = Sandbox { folder, mark };
        for folder in ["tmp", "home"] {
            fs::create_dir(bench.path(folder)).expect("a new folder can be made");
        }
        bench.configure(&Configuration::new());
        bench
    }

    /// A path in its folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes `runner-config.toml`.
    pub fn configure(&self, configuration: &Configuration) {
        self.write("runner-config.toml", configuration.text());
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("the bench's folder can be written to");
        path
    }

    /// Writes a program that is a shell script.
    pub fn script(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.write(name, format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// A broker that starts when [`open_gate`](Sandbox::open_gate) is called.
    pub fn gated_broker(&self) -> PathBuf {
        let gate = self.path("gate");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &gate, mode).expect("the folder is writable");
        let text =
            format!("[ -e {0}.open ] || read word < {0}\nexec mosquitto \"$@\"", gate.display());
        self.script("mosquitto-that-waits", &text)
    }

    /// Lets the broker of [`gated_broker`](Sandbox::gated_broker) start, now and whenever it starts again.
    pub fn open_gate(&self) {
        self.write("gate.open", "");
        fs::write(self.path("gate"), "go\n").expect("the broker reads the gate");
    }

    /// A program of this machine in the bench's folder, with nothing of the caller's environment
    /// that changes what it does.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.folder.path())
            .env("TMPDIR", self.path("tmp"))
            .env("HOME", self.path("home"))
            .env("HILRIG_LOCKS", self.path("tmp/hilrig-locks"))
            .env(MARK, &self.mark);
        for name in ["XDG_STATE_HOME", "XDG_RUNTIME_DIR", "HILRIG_LOG", "RUST_LOG", "COLUMNS"] {
            command.env_remove(name);
        }
        // Colour is for terminals; some CI machines force it.
        for name in ["CLICOLOR_FORCE", "FORCE_COLOR"] {
            command.env_remove(name);
        }
        command
    }

    /// `hilrig` with these arguments.
    pub fn hilrig(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(artifacts::hilrig());
        command.args(arguments);
        command
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> RunningProgram {
        RunningProgram::start(self.hilrig(arguments))
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> EndedProgram {
        self.start(arguments).ended()
    }

    /// The record of the last run in the configured folder.
    pub fn record(&self) -> Record {
        Record::open(&self.path("hilrig-records/latest"))
    }

    /// The folders of the records so far, oldest first, as the command line takes them.
    pub fn records(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("hilrig-records")).expect("there are records");
        let folders =
            entries.flatten().filter(|entry| entry.path().is_dir() && !entry.path().is_symlink());
        let mut names: Vec<String> = folders
            .map(|entry| path_text(&Path::new("hilrig-records").join(entry.file_name())))
            .collect();
        names.sort();
        names
    }

    /// No run has begun: nothing was put anywhere.
    #[track_caller]
    pub fn must_be_untouched(&self) {
        assert!(!self.path("hilrig-records").exists(), "there is a record");
        self.nothing_may_be_left();
    }

    /// Its processes that run still.
    pub fn processes(&self) -> Vec<Process> {
        processes::marked(&self.mark, self.folder.path())
    }

    /// The one process of it whose command line has `part` in it.
    #[track_caller]
    pub fn process(&self, part: &str) -> Process {
        let all = self.processes();
        let found: Vec<_> = all.iter().filter(|one| one.command.contains(part)).collect();
        assert_eq!(found.len(), 1, "one process with `{part}` among {all:?}");
        found[0].clone()
    }

    /// No process, no temporary file and no lock is left.
    #[track_caller]
    pub fn nothing_may_be_left(&self) {
        let (dying, running): (Vec<_>, Vec<_>) =
            self.processes().into_iter().partition(Process::is_dying);
        assert!(running.is_empty(), "processes that run still: {running:?}");
        for process in dying {
            processes::wait_gone(process.pid, &process.command);
        }
        let left = self.temporary_files();
        assert!(left.is_empty(), "files that are left: {left:?}");
    }

    /// What is in the folder for temporary files. The folder that all runs keep their locks in
    /// stays; a lock in it counts.
    pub fn temporary_files(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| -> Vec<PathBuf> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect()
        };
        let (locks, mut left): (Vec<_>, Vec<_>) = list(&self.path("tmp"))
            .into_iter()
            .partition(|path| path.to_string_lossy().contains("/hilrig-locks"));
        left.extend(locks.iter().flat_map(|folder| list(folder)));
        left
    }
}

/// A configuration that is being written.
#[derive(Clone, Debug)]
pub struct Configuration {
    table: toml::Table,
}

impl Configuration {
    /// The bundled firmware on one virtual board, a broker that is a process, generous deadlines.
    #[allow(clippy::new_without_default, reason = "it asks for files that may not be there")]
    pub fn new() -> Configuration {
        let mut configuration = Configuration { table: toml::Table::new() };
        configuration
            .set("schema", 1)
            .set("firmware.contract", path_text(&artifacts::contract()))
            .set("firmware.virtual.image", path_text(&artifacts::firmware()))
            .set("virtual.boot_rom", path_text(&artifacts::boot_rom()))
            .set("broker.kind", "process")
            .set("deadlines.boot", "60 s")
            .set("deadlines.reply", "30 s")
            .set("deadlines.connect", "60 s")
            .set("deadlines.broker", "60 s")
            .set("deadlines.flash", "90 s")
            .set("deadlines.board", "280 s");
        configuration
    }

    /// Sets a key, written with dots.
    pub fn set(&mut self, key: &str, value: impl Into<toml::Value>) -> &mut Configuration {
        let mut table = &mut self.table;
        let mut names = key.split('.').peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                table.insert(name.into(), value.into());
                break;
            }
            let next = table.entry(name).or_insert_with(|| toml::Table::new().into());
            table = next.as_table_mut().unwrap_or_else(|| panic!("{key}: {name} is no table"));
        }
        self
    }

    /// Sets the image.
    pub fn image(&mut self, image: &Path) -> &mut Configuration {
        self.set("firmware.virtual.image", path_text(image))
    }

    /// Adds a `[[board]]`.
    pub fn board(&mut self, board: toml::Table) -> &mut Configuration {
        let boards = self.table.entry("board").or_insert_with(|| toml::Value::Array(Vec::new()));
        boards.as_array_mut().expect("boards are a list").push(board.into());
        self
    }

    /// As the file holds it.
    pub fn text(&self) -> String {
        toml::to_string(&self.table).expect("a table can be written")
    }
}

/// A path as a configuration holds it.
pub fn path_text(path: &Path) -> String {
    path.to_str().expect("the paths of these tests are text").to_owned()
}

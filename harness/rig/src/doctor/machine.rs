//! What a run needs of the machine: disk space for records and temporary files, a clock, open files, secrets
//! in the environment.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hilrig_core::config::Config;
use hilrig_core::plural::counted;
use rustix::fs::{Access, access, statvfs};
use rustix::process::{Resource, getrlimit};

use super::{Diagnosis, missing, ok};
use crate::{limits, load};

/// Free space that a run needs. A record has about 100 KiB for each board, a virtual board's flash file 4 MiB.
const FREE: u64 = 64 * 1024 * 1024;

/// Looks at what a run needs of the machine.
pub fn machine(config: Option<&Config>, findings: &mut Vec<Diagnosis>) {
    let records = config.map(|config| config.records.clone());
    if let Some(records) = records {
        findings.push(folder("records", &records, "[record] directory in the configuration"));
    }
    findings.push(folder("temporary files", &std::env::temp_dir(), "TMPDIR"));
    findings.push(clock(config));
    findings.push(files(config));
    if let Some(config) = config {
        secrets(config, findings);
    }
}

/// A folder that must be writable, or whose parent must be.
fn folder(what: &'static str, folder: &Path, by: &str) -> Diagnosis {
    let fix = || format!("free space, or use another folder: {by}");
    // TMPDIR must exist; the folder of records is created.
    let there = match what {
        "records" => nearest(folder),
        _ => folder.to_owned(),
    };
    if !there.is_dir() {
        let found = format!("there is no folder {}", there.display());
        return missing(what, found, fix());
    }
    if let Err(error) = access(&there, Access::WRITE_OK | Access::EXEC_OK) {
        return missing(what, format!("{} cannot be written to: {error}", there.display()), fix());
    }
    match statvfs(&there) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{}, {} MiB free", folder.display(), free / (1024 * 1024));
            match free < FREE {
                true => missing(what, found, fix()),
                false => ok(what, found),
            }
        }
        Err(error) => missing(what, format!("{}: {error}", there.display()), fix()),
    }
}

/// The folder, or the nearest one above it that exists.
fn nearest(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let mut above = absolute.ancestors().filter(|folder| folder.exists());
    above.next().unwrap_or(Path::new("/")).to_owned()
}

/// The run's certificates are valid from now on: a clock before the files that the run uses is wrong.
fn clock(config: Option<&Config>) -> Diagnosis {
    let now = SystemTime::now();
    let written = |path: &Path| path.metadata().and_then(|meta| meta.modified()).ok();
    let newest = config
        .map(|config| config.path.clone())
        .into_iter()
        .chain(std::env::current_exe().ok())
        .filter_map(|path| Some((written(&path)?, path)))
        .max();
    let today = time::OffsetDateTime::from(now).date();
    match newest {
        Some((written, path)) if now + Duration::from_hours(24) < written => missing(
            "clock",
            format!("the clock shows {today}, and {} was written later", path.display()),
            "timedatectl set-ntp true, or date --set".into(),
        ),
        _ => ok("clock", today.to_string()),
    }
}

fn files(config: Option<&Config>) -> Diagnosis {
    let boards = config.map_or(1, |config| config.boards.len().max(config.virtual_.boards));
    let need = limits::files_of(boards);
    let limit = getrlimit(Resource::Nofile);
    // hilrig raises its own limit up to the hard one.
    match limit.maximum.or(limit.current) {
        Some(limit) if limit < need => missing(
            "open files",
            format!("at most {limit}, and {} may need {need}", counted(boards, "board")),
            format!("ulimit -n {need}"),
        ),
        Some(limit) => ok("open files", format!("at most {limit}")),
        None => ok("open files", "no limit".into()),
    }
}

/// The environment variables that the configuration names.
fn secrets(config: &Config, findings: &mut Vec<Diagnosis>) {
    let settings = load::settings(config).map(|(_, secrets)| secrets.len());
    let passwords = load::power_passwords(config, &config.boards).map(|secrets| secrets.len());
    match settings.and_then(|count| Ok(count + passwords?)) {
        Ok(0) => {}
        Ok(count) => findings.push(ok("secrets", format!("{count} in the environment"))),
        Err(error) => findings.push(missing(
            "secrets",
            error.message().to_owned(),
            "export the variable (in CI: from its store of secrets)".into(),
        )),
    }
}

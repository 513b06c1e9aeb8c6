//! The id and the seed of a run.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;

use hilrig_report::folder_of;
use time::OffsetDateTime;
use time::macros::format_description;

/// A new seed.
pub fn fresh_seed() -> u64 {
    // The clock's nanoseconds and the process: not secret, only different from run to run. 32 bits
    // are short to type, and whole in every reader of JSON (which may stop at 53).
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() as u64;
    (now.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) ^ u64::from(std::process::id())
}

/// The id of a run. It sorts by time; runs that start in one second differ by 32 random bits, because
/// containers that share a folder of records all run as process 1.
#[derive(Clone, Debug)]
pub struct RunId {
    id: String,
    started: OffsetDateTime,
}

impl RunId {
    /// A run that starts now. Skips an id that the folder `records` has already.
    pub fn new(records: &Path) -> RunId {
        RunId::at(OffsetDateTime::now_utc(), records)
    }

    fn at(started: OffsetDateTime, records: &Path) -> RunId {
        let random = || RandomState::new().build_hasher().finish() as u32;
        let id = new_run_id(started, random, |id| records.join(folder_of(id)).exists());
        RunId { id, started }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.id
    }

    /// When the run started.
    pub(super) fn started(&self) -> OffsetDateTime {
        self.started
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.id)
    }
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
    use std::collections::BTreeSet;

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
        let ids: BTreeSet<String> = (0..1000)
            .map(|_| RunId::at(OffsetDateTime::UNIX_EPOCH, folder.path()).to_string())
            .collect();
        assert_eq!(ids.len(), 1000);
    }
}

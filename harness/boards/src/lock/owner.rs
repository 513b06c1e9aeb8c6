//! The owner of a lock, as described in its file.

use std::time::Duration;

use hilrig_core::text::printable;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The most of a command line that is shown, characters.
const COMMAND_MOST: usize = 200;

/// Who has a lock, since when and what for.
#[derive(Debug, Serialize, Deserialize)]
pub struct LockOwner {
    pid: u32,
    user: String,
    command: String,
    /// RFC 3339, UTC.
    since: String,
    /// What for, in the owner's words.
    reason: String,
}

impl LockOwner {
    /// This process, from now on.
    pub fn this_process(reason: &str) -> LockOwner {
        LockOwner {
            pid: std::process::id(),
            user: user(),
            command: command(),
            since: now().format(&Rfc3339).unwrap_or_default(),
            reason: reason.to_owned(),
        }
    }

    /// In words. Another user may have written any text, so it is made printable.
    pub fn words(&self) -> String {
        let plain = |text: &str| printable(text.as_bytes());
        let since = match OffsetDateTime::parse(&self.since, &Rfc3339) {
            Ok(since) => {
                let age = (now() - since).max(time::Duration::ZERO).unsigned_abs();
                format!("{} ({})", plain(&self.since), for_so_long(age))
            }
            Err(_) => plain(&self.since),
        };
        format!(
            "process {} has had it since {since} for: {} (user {}, `{}`)",
            self.pid,
            plain(&self.reason),
            plain(&self.user),
            plain(&self.command)
        )
    }
}

fn now() -> OffsetDateTime {
    let now = OffsetDateTime::now_utc();
    now.replace_nanosecond(0).unwrap_or(now)
}

/// In the two largest units: after an hour the seconds do not matter.
fn for_so_long(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, min, s) => format!("{min} min {s} s"),
        (h, min, _) => format!("{h} h {min} min"),
    }
}

fn command() -> String {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let program = std::path::Path::new(&program).file_name().unwrap_or_default().to_owned();
    let words: Vec<String> = std::iter::once(program)
        .chain(arguments)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ").chars().take(COMMAND_MOST).collect()
}

fn user() -> String {
    let uid = rustix::process::geteuid().as_raw();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    // Users of a directory service are not in this file.
    crate::identity::access::name_of_id(&users, uid).unwrap_or_else(|| uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_what_since_when_and_for_how_long() {
        let since = (now() - time::Duration::minutes(187)).format(&Rfc3339).unwrap();
        let owner = LockOwner {
            pid: 17,
            user: "anna".into(),
            command: "hilrig run --board desk".into(),
            since: since.clone(),
            reason: "the run 4".into(),
        };
        let words = owner.words();
        assert!(
            words.starts_with(&format!(
                "process 17 has had it since {since} (3 h 7 min) for: the run 4"
            )),
            "{words}"
        );
        assert!(words.ends_with("(user anna, `hilrig run --board desk`)"), "{words}");
        assert_eq!(for_so_long(Duration::from_secs(61)), "1 min 1 s");
    }

    #[test]
    fn another_users_text_cannot_control_a_terminal() {
        let evil = "\u{1b}[2J";
        let owner = LockOwner {
            pid: 1,
            user: evil.into(),
            command: evil.into(),
            since: evil.into(),
            reason: evil.into(),
        };
        assert!(!owner.words().contains('\u{1b}'));
    }

    #[test]
    fn this_process_is_described() {
        let owner = LockOwner::this_process("test");
        assert_eq!(owner.pid, std::process::id());
        assert!(!owner.user.is_empty() && !owner.command.is_empty());
    }
}

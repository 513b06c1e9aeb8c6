//! The client on OpenSSL: the program `openssl s_client`, with the suites that the board offers. What it
//! takes besides (keys, curves, signatures) is as its own configuration has it, security level included.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use hilrig_core::certify::certificate::OtherClient;
use hilrig_core::certify::{Outcome, Reason, WireSeen};
use hilrig_core::text::printable;
use hilrig_wire::Relay;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::s_client::executable;
use super::{Ask, ClientResult, GoesBy, Leave, client_id, line, seen_on, suites, talk};
use crate::engine::child;
use crate::environment;
use crate::pki::pem;

/// The maximum of its output that is kept, bytes. It prints a few hundred.
const KEPT: u64 = 16 * 1024;
/// Time limit from the end of its work to the end of the process.
const TO_END: Duration = Duration::from_secs(1);

/// The version that `openssl` reports, such as `3.0.19`.
///
/// # Errors
/// What was found instead, and what to do.
pub async fn openssl_version(deadline: Duration) -> Result<String, String> {
    let path = executable()?;
    let mut command = Command::new(&path);
    command.env_clear().envs(environment::clean());
    command.arg("version").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let output = match timeout(deadline, command.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("{} cannot be run: {error}", path.display())),
        Err(_) => return Err(format!("{} does not print its version", path.display())),
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let mut words = text.split_whitespace();
    match (words.next(), words.next()) {
        (Some("OpenSSL"), Some(version)) => Ok(printable(version.as_bytes())),
        _ => Err(format!("{} does not say that it is OpenSSL", path.display())),
    }
}

/// Connects as `ask` requests with `openssl s_client`, and waits for a CONNACK. Its files are in a folder of its own
/// in `dir`, which is removed before this returns. Passwords go through its standard input and keys through files,
/// never through its arguments.
pub async fn with_openssl(ask: &Ask<'_>, dir: &Path) -> OtherClient {
    let (version, result) = match openssl_version(ask.deadline).await {
        Ok(version) => (version, run(ask, dir).await),
        Err(found) => (String::new(), ClientResult::not_run(found)),
    };
    OtherClient {
        client: "openssl".into(),
        version,
        outcome: result.outcome,
        reason: result.reason,
        said: printable(result.said.as_bytes()),
    }
}

async fn run(ask: &Ask<'_>, dir: &Path) -> ClientResult {
    let files = match Files::create(ask, dir) {
        Ok(files) => files,
        Err(error) => {
            return ClientResult::broken(format!(
                "cannot write the files of openssl s_client: {error}"
            ));
        }
    };
    let wire = match line(ask).await {
        Ok(wire) => wire,
        Err(result) => return result,
    };
    let end = Instant::now() + ask.deadline;
    if !ask.board.resume {
        return once(ask, &files, &wire, &[], end, Leave::InOrder).await;
    }
    let mut words = String::new();
    for (leave, name) in [(Leave::InOrder, "closed.pem"), (Leave::Cut, "cut.pem")] {
        let session = files.path(name);
        let keep = ["-sess_out".into(), session.clone()];
        let first = once(ask, &files, &wire, &keep, end, leave).await;
        if first.outcome != Outcome::Connected {
            return first;
        }
        if !Path::new(&session).exists() {
            return ClientResult {
                said: format!("{}; the broker gave no session", first.said),
                ..first
            };
        }
        let mut second =
            once(ask, &files, &wire, &["-sess_in".into(), session], end, Leave::InOrder).await;
        if second.outcome != Outcome::Connected {
            return second;
        }
        words += &leave.resumed(wire.seen().last().is_some_and(|seen| seen.resumed));
        if leave == Leave::Cut {
            second.said += &words;
            return second;
        }
    }
    ClientResult::broken("the session was asked about in no way")
}

async fn once(
    ask: &Ask<'_>,
    files: &Files,
    wire: &Relay,
    further: &[String],
    end: Instant,
    leave: Leave,
) -> ClientResult {
    let mut command = match executable() {
        Ok(path) => Command::new(path),
        Err(found) => return ClientResult::not_run(found),
    };
    command
        .env_clear()
        .envs(environment::clean())
        .args(arguments(ask, files, wire.port()))
        .args(further)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    child::tie(&mut command);
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return ClientResult::broken(format!("openssl cannot be run: {error}")),
    };
    let (Some(stdin), Some(stdout), Some(mut stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return ClientResult::broken("openssl has no pipes");
    };
    let id = client_id("openssl");
    let talking = async {
        let mut stream = tokio::io::join(stdout, stdin);
        let answered = timeout_at(end, talk(&mut stream, &id, ask.login, leave)).await;
        if leave == Leave::Cut {
            wire.cut();
            let ended = wire.until(|progress| progress.ended == progress.connections);
            let _ = timeout_at(end, ended).await;
        }
        // At the end of its input it closes in order and ends. Otherwise the session would not be
        // resumed: OpenSSL drops it with an aborted connection.
        drop(stream);
        stop(&mut child).await;
        answered
    };
    let (answered, said) = tokio::join!(talking, bounded(&mut stderr));
    let seen = seen_on(wire).await;
    let result = match answered {
        Ok(Ok(code)) => ClientResult::by_connack(code, &negotiated(&said, &seen)),
        Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            ClientResult::refused(None, error.to_string())
        }
        Ok(Err(_)) => refusal(&said),
        Err(_) => {
            let mut result = ClientResult::late(ask);
            if !said.trim().is_empty() {
                result.said = format!("{}; it says: {}", result.said, last_line(&said));
            }
            result
        }
    };
    result.seen_with(&seen, ask)
}

/// Waits for its end, and kills it and its group if that takes too long.
async fn stop(child: &mut Child) {
    if timeout(TO_END, child.wait()).await.is_ok() {
        return;
    }
    // A reaped child has no id any more, so this is never another process's group.
    let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        let _ = kill_process_group(pid, Signal::KILL);
    }
    let _ = child.wait().await;
}

/// Reads to the end, and keeps the first [`KEPT`] bytes.
async fn bounded(from: &mut (impl AsyncRead + Unpin)) -> String {
    let mut kept = Vec::new();
    let _ = from.take(KEPT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

fn arguments(ask: &Ask<'_>, files: &Files, port: u16) -> Vec<String> {
    let suites: Vec<_> = suites::offered(ask.board.suites).map(|suite| suite.openssl).collect();
    let mut arguments: Vec<String> = [
        "s_client",
        "-connect",
        &format!("127.0.0.1:{port}"),
        "-tls1_2",
        "-cipher",
        &suites.join(":"),
        // BearSSL resumes by the session id alone.
        "-no_ticket",
        "-verify_return_error",
        // Standard output has only the broker's bytes, and none of the input is interpreted as a command.
        "-quiet",
        "-brief",
        "-no_ign_eof",
        "-nocommands",
        // No other CA is trusted.
        "-no-CApath",
        "-no-CAstore",
    ]
    .map(str::to_owned)
    .into();
    let mut add = |words: &[&str]| arguments.extend(words.iter().map(|&word| word.to_owned()));
    let address = ask.server_name.parse::<std::net::IpAddr>().is_ok();
    match address {
        true => add(&["-noservername"]),
        false => add(&["-servername", ask.server_name]),
    }
    match ask.goes_by {
        GoesBy::Ca(_) => {
            // An intermediate is an anchor too.
            add(&["-CAfile", &files.path("ca.pem"), "-partial_chain"]);
            add(&[if address { "-verify_ip" } else { "-verify_hostname" }, ask.server_name]);
        }
        GoesBy::Pin(digest) => {
            // A TLSA record (RFC 6698) for the leaf (3) as a whole (0) by its SHA-256 (1) is a pin.
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            add(&["-no-CAfile", "-dane_tlsa_domain", ask.server_name]);
            add(&["-dane_ee_no_namechecks", "-dane_tlsa_rrdata", &format!("3 0 1 {hex}")]);
        }
    }
    if let 512 | 1024 | 2048 | 4096 = ask.board.record {
        add(&["-maxfraglen", &ask.board.record.to_string()]);
    }
    if ask.board.alpn {
        add(&["-alpn", "mqtt"]);
    }
    if ask.certificate.is_some() {
        let chain = files.path("chain.pem");
        add(&["-cert", &chain, "-cert_chain", &chain, "-key", &files.path("key.pem")]);
    }
    if let Some(time) = ask.time {
        add(&["-attime", &time.unix_timestamp().to_string()]);
    }
    arguments
}

/// Its files, in a folder with access for its user only. Dropping removes it.
struct Files(TempDir);

impl Files {
    fn create(ask: &Ask<'_>, dir: &Path) -> io::Result<Files> {
        let files = Files(tempfile::Builder::new().prefix("openssl-").tempdir_in(dir)?);
        if let GoesBy::Ca(ca) = ask.goes_by {
            files.write("ca.pem", &pem(ca))?;
        }
        if let Some(certificate) = ask.certificate {
            files.write("chain.pem", certificate.chain)?;
            files.write("key.pem", certificate.key)?;
        }
        Ok(files)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.at(name))?;
        io::Write::write_all(&mut file, text.as_bytes())
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).to_string_lossy().into_owned()
    }
}

/// Version and suite from the output of `-brief`, the rest from the wire.
fn negotiated(said: &str, seen: &WireSeen) -> String {
    let after = |key: &str| said.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    let taken = seen.taken.clone().unwrap_or_default();
    let words = [
        after("Protocol version: "),
        after("Ciphersuite: "),
        taken.alpn.map(|name| format!("ALPN {name}")),
        taken.max_fragment.map(|size| {
            format!("MFLN {size} confirmed, records of up to {} came", seen.largest_from_broker)
        }),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn refusal(said: &str) -> ClientResult {
    let number_after = |key: &str| -> Option<u32> {
        let (_, rest) = said.split_once(key)?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse().ok()
    };
    let of = |reason: Option<Reason>, key: &str| {
        let line = said.lines().find(|line| line.contains(key)).unwrap_or(said);
        ClientResult::refused(reason, message_of(line))
    };
    if let Some(number) = number_after("verify error:num=") {
        return of(by_verify_error(number), "verify error:num=");
    }
    if let Some(number) = number_after("SSL alert number ") {
        return of(u8::try_from(number).ok().map(Reason::of_alert), "SSL alert number ");
    }
    // The names of OpenSSL's errors, by their meaning here.
    let known = [
        ("unsupported protocol", Reason::NothingInCommon),
        ("no ciphers available", Reason::NothingInCommon),
        ("data length too long", Reason::RecordTooLarge),
        ("packet length too long", Reason::RecordTooLarge),
        ("unexpected eof", Reason::Closed),
        ("Connection reset", Reason::Closed),
        ("write:errno=104", Reason::Closed),
        ("read:errno=104", Reason::Closed),
        ("write:errno=32", Reason::Closed),
        ("read:errno=0", Reason::Closed),
    ];
    if let Some((key, reason)) = known.into_iter().find(|(key, _)| said.contains(key)) {
        return of(Some(reason), key);
    }
    if said.contains("connect:errno=") {
        return ClientResult::broken(message_of(last_line(said)));
    }
    // Connected, and then closed in order before the CONNACK.
    if said.contains("CONNECTION ESTABLISHED") && !said.contains("error:") {
        return ClientResult::refused(Some(Reason::Closed), "closed before the CONNACK");
    }
    ClientResult::refused(None, message_of(last_line(said)))
}

/// OpenSSL's error numbers for a certificate (X509_V_ERR_ in x509_vfy.h).
fn by_verify_error(number: u32) -> Option<Reason> {
    Some(match number {
        // No issuer, a wrong signature, self-signed, an incomplete chain.
        2 | 7 | 18..=21 => Reason::NotTrusted,
        9 | 10 => Reason::OutOfDate,
        62 | 64 => Reason::WrongName,
        65 => Reason::WrongPin,
        // Too small a key, too weak a digest, or an unknown algorithm.
        6 | 66..=68 | 76 => Reason::UnsupportedCertificate,
        _ => return None,
    })
}

fn last_line(said: &str) -> &str {
    said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it ended without a word")
}

/// A line of its error queue without the thread's number, or another line as it is.
fn message_of(line: &str) -> &str {
    let line = line.trim();
    match line.split_once(":error:") {
        Some((thread, rest)) if thread.bytes().all(|b| b.is_ascii_hexdigit()) => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_the_first_thing_that_went_wrong() {
        let by = |said: &str| {
            let result = refusal(said);
            (result.reason, result.said)
        };
        let (reason, said) = by(
            "depth=0 CN = broker\nverify error:num=62:hostname mismatch\n4067CA73D57F0000:error:0A000086:SSL \
             routines:tls_post_process_server_certificate:certificate verify failed:../ssl/x.c:1889:\n",
        );
        assert_eq!(reason, Some(Reason::WrongName));
        assert_eq!(said, "verify error:num=62:hostname mismatch");
        let (reason, said) = by(
            "40C73088A97F0000:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake \
             failure:../ssl/record/rec_layer_s3.c:1601:SSL alert number 40\n",
        );
        assert_eq!(reason, Some(Reason::NothingInCommon));
        assert!(said.starts_with("0A000410:SSL routines"), "{said}");
        for odd in ["", "\n", "verify error:num=", "SSL alert number 99999", "x"] {
            let _ = by(odd);
        }
        assert_eq!(by("SSL alert number 300").0, None);
    }
}

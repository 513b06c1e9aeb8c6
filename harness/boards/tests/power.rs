//! Power lines against fakes of their devices: a web server that answers as Tasmota, a uhubctl that prints
//! what the real one prints, commands.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use hilrig_boards::power::{Commands, HubPort, RelayLogin, Tasmota, UrlRelay};
use hilrig_core::board::{BoardFault, Power};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn says(done: Result<(), BoardFault>, words: &[&str]) -> String {
    let text = done.unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` in: {text}");
    }
    text
}

/// A relay that accepts one request, sends this answer and closes; without an answer it never replies.
/// Returns its address and, later, the request.
async fn relay(answer: Option<String>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0, "a whole request");
        }
        match answer {
            Some(answer) => stream.write_all(answer.as_bytes()).await.unwrap(),
            None => std::future::pending().await,
        }
        String::from_utf8(request).unwrap()
    });
    (url, asked)
}

fn answer(status: &str, body: &str) -> Option<String> {
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ))
}

fn login() -> Option<RelayLogin> {
    Some(RelayLogin { user: "admin".into(), password: "p w&d".into() })
}

#[tokio::test]
async fn tasmota_is_asked_in_its_words_and_must_say_that_it_is_done() {
    let (url, asked) = relay(answer("200 OK", r#"{"POWER2":"OFF"}"#)).await;
    Tasmota::new(format!("{url}/"), 2, login()).off().await.unwrap();
    let request = asked.await.unwrap();
    let line = "GET /cm?user=admin&password=p%20w%26d&cmnd=Power2%20Off HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    let host = format!("\r\nhost: {}\r\n", url.trim_start_matches("http://"));
    assert!(request.to_lowercase().contains(&host), "{request}");
    // A device with one relay does not number it.
    let (url, asked) = relay(answer("200 OK", r#"{"POWER":"ON"}"#)).await;
    Tasmota::new(url, 1, None).on().await.unwrap();
    assert!(asked.await.unwrap().starts_with("GET /cm?cmnd=Power1%20On HTTP/1.1\r\n"));
}

#[tokio::test]
async fn whatever_else_tasmota_says_is_no_switching() {
    for (status, body, words) in [
        ("200 OK", r#"{"POWER1":"ON"}"#, "StateText"),
        ("200 OK", r#"{"POWER2":"OFF"}"#, "is it Tasmota"),
        ("200 OK", r#"{"Command":"Unknown"}"#, "Unknown"),
        ("200 OK", "<html>\u{1b}[31m", r"<html>\x1b[31m"),
        ("200 OK", "", "it answered 200"),
        ("404 Not Found", r#"{"POWER1":"OFF"}"#, "it answered 404"),
        ("401 Unauthorized", "", "password_env"),
        ("200 OK", r#"{"WARNING":"Need user=<username>&password=<password>"}"#, "password_env"),
    ] {
        let (url, _asked) = relay(answer(status, body)).await;
        let text = says(Tasmota::new(url.clone(), 1, None).off().await, &[words, &url]);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}

#[tokio::test]
async fn a_password_is_in_no_message() {
    // Even where the device sends it back.
    let body = r#"{"password":"p w&d","query":"p%20w%26d"}"#;
    let (url, _asked) = relay(answer("200 OK", body)).await;
    let text = says(Tasmota::new(url, 1, login()).off().await, &["***"]);
    assert!(!text.contains("p w&d") && !text.contains("p%20w"), "{text}");
    assert!(!format!("{:?}", login()).contains("p w"));
}

#[tokio::test]
async fn a_relay_that_is_not_there_or_breaks_off_is_told() {
    let (url, _asked) = relay(Some(String::new())).await;
    says(Tasmota::new(url, 1, None).off().await, &["Is the relay on the network"]);
    let (url, _asked) = relay(Some("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".into())).await;
    says(Tasmota::new(url, 1, None).off().await, &["the answer broke off"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    says(Tasmota::new(url, 1, None).off().await, &["cannot connect"]);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_never_answers_meets_the_deadline() {
    let (url, _asked) = relay(None).await;
    says(Tasmota::new(url, 1, None).off().await, &["no answer within 15 s"]);
}

#[tokio::test]
async fn plain_addresses_are_done_with_any_2xx_and_shown_without_their_query() {
    let (on, asked) = relay(answer("204 No Content", "")).await;
    let (off, _asked) = relay(answer("302 Found", "elsewhere")).await;
    let mut relay =
        UrlRelay::new(format!("{on}/on?t=1"), format!("{off}/off?token=geheim"), login());
    relay.on().await.unwrap();
    let request = asked.await.unwrap();
    assert!(request.starts_with("GET /on?t=1 HTTP/1.1\r\n"), "{request}");
    // base64 of `admin:p w&d`
    assert!(request.contains("Basic YWRtaW46cCB3JmQ=\r\n"), "{request}");
    let text = says(relay.off().await, &["/off", "302", "Name the address that it leads to"]);
    assert!(!text.contains("geheim") && !relay.words().contains("geheim"), "{text}");
}

/// A uhubctl that writes its arguments to a file and prints `stdout` and `stderr`.
fn uhubctl(folder: &Path, stdout: &str, stderr: &str, code: u8) -> HubPort {
    let path = folder.join("uhubctl");
    std::fs::write(folder.join("stdout"), stdout).unwrap();
    std::fs::write(folder.join("stderr"), stderr).unwrap();
    let folder = folder.display();
    let text = format!(
        "#!/bin/sh\necho \"$*\" >> {folder}/calls\ncat {folder}/stdout\ncat {folder}/stderr >&2\nexit {code}\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    HubPort::new("1-1.4".into(), 2).with_program(path)
}

/// The output of uhubctl 2.5 for a hub whose port 2 ends as `state`, as recorded with real hubs in its
/// issue tracker (here with locations and names changed).
fn switched(action: &str, state: &str) -> String {
    let hub = "hub 1-1.4 [05e3:0610 GenesysLogic USB2.1 Hub, USB 2.10, 4 ports, ppps]";
    format!(
        "Current status for {hub}\n  Port 2: 0103 power enable connect [10c4:ea60 Silicon Labs CP2104 USB to UART Bridge Controller 0001]\n\
         Sent power {action} request\nNew status for {hub}\n  Port 2: {state}\n"
    )
}

#[tokio::test]
async fn uhubctl_is_called_and_what_it_says_of_the_port_afterwards_counts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    uhubctl(folder, &switched("off", "0000 off"), "", 0).off().await.unwrap();
    uhubctl(folder, &switched("on", "0100 power"), "", 0).on().await.unwrap();
    let calls = std::fs::read_to_string(folder.join("calls")).unwrap();
    assert_eq!(calls, "-l 1-1.4 -p 2 -a off\n-l 1-1.4 -p 2 -a on\n");
    // Some hubs only report that they can.
    let stuck = switched("off", "0103 power enable connect [10c4:ea60 Silicon Labs]");
    says(
        uhubctl(folder, &stuck, "", 0).off().await,
        &["port 2 of the USB hub 1-1.4", "is not off", "Some hubs"],
    );
    let other = switched("off", "0000 off").replace("Port 2", "Port 3");
    says(uhubctl(folder, &other, "", 0).off().await, &["does not report a port 2"]);
}

/// The standard error of Debian's uhubctl 2.5.0-1 on a machine without hubs.
const NO_HUB: &str =
    "No compatible devices detected at location 1-1.4!\nRun with -h to get usage info.\n";

#[tokio::test]
async fn why_uhubctl_did_not_switch_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let off = async |stderr: &str| uhubctl(folder, "", stderr, 1).off().await;
    says(off(NO_HUB).await, &["no hub at 1-1.4", "`uhubctl` lists"]);
    let permission = format!(
        "{NO_HUB}There were permission problems while accessing USB.\nFollow https://git.io/JIB2Z for a fix!\n"
    );
    says(off(&permission).await, &["this user may not", "udev"]);
    says(off("Error initializing USB!\n").await, &["exit status: 1", "Error initializing USB!"]);
    let missing = HubPort::new("1-1".into(), 1).with_program(PathBuf::from("no-such-uhubctl"));
    says({ missing }.off().await, &["not installed", "apt-get install uhubctl"]);
}

#[tokio::test]
async fn the_uhubctl_of_this_machine_tells_that_there_is_no_such_hub() {
    let mut port = HubPort::new("99-9".into(), 1);
    let text = port.off().await.unwrap_err().to_string();
    // A missing uhubctl is reported; its output for hubs is recorded above.
    let known = ["not installed", "no hub at 99-9", "may not switch", "Error initializing USB"];
    assert!(known.iter().any(|words| text.contains(words)), "{text}");
}

#[tokio::test]
async fn commands_run_in_the_shell_and_tell_why_they_failed() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state").display().to_string();
    let mut commands = Commands::new(
        format!("echo on > {state}"),
        format!("echo off > {state}; echo noise >&2; head -c 1000000 /dev/zero"),
    );
    commands.off().await.unwrap();
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "off\n");
    commands.on().await.unwrap();
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "on\n");
    let mut commands =
        Commands::new("echo 'no \u{1b}relay' >&2; exit 3".into(), "kill -9 $$".into());
    let text =
        says(commands.on().await, &["exit status: 3", r"it printed `no \x1brelay`", "by hand"]);
    assert!(!text.contains('\u{1b}'), "{text}");
    says(commands.off().await, &["signal: 9"]);
}

#[tokio::test]
async fn what_a_command_leaves_running_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let mut commands =
        Commands::new(format!("sleep 600 & echo $! > {}", pid.display()), String::new());
    commands.on().await.unwrap();
    let pid: i32 = std::fs::read_to_string(&pid).unwrap().trim().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    // It runs on, as intended; the test ends it.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_command_that_hangs_is_killed_at_the_deadline() {
    let mut commands = Commands::new(String::new(), "sleep 600".into());
    says(commands.off().await, &["no end within 15 s, so it was killed"]);
}

#[tokio::test]
async fn a_command_goes_with_all_that_it_started_when_the_run_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let text = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
    let mut commands = Commands::new(String::new(), text);
    let started = async {
        while !file.exists() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        done = commands.off() => panic!("it ended: {done:?}"),
        () = started => {}
    }
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // Gone, or dead and not yet waited for by its new parent.
    let lives = || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
    };
    while lives() {
        assert!(std::time::Instant::now() < end, "process {pid} lives on");
        std::thread::yield_now();
    }
}

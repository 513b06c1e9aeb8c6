//! A real browser, driven over its debugging pipe (the Chrome DevTools Protocol: JSON messages, each
//! ended by a NUL, on descriptors 3 and 4).

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::skip::skipped;

/// A running browser with one page.
pub struct Browser {
    child: Child,
    commands: File,
    messages: BufReader<File>,
    session: Option<String>,
    last: u64,
    _profile: TempDir,
}

impl Browser {
    /// Starts Chromium, or skips the test with a word where there is none.
    pub fn start() -> Option<Browser> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let there = |name: &&str| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
        };
        let Some(name) = names.iter().find(|name| there(name)) else {
            let required = std::env::var("HILRIG_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(!required, "HILRIG_REQUIRE_BROWSER=1, and there is no Chromium");
            skipped("there is no Chromium (`apt-get install chromium`)");
            return None;
        };
        let profile = TempDir::new().expect("a folder for the browser's profile");
        let pipe = || rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let (commands_theirs, commands) = pipe();
        let (messages, messages_theirs) = pipe();
        let mut command = Command::new(name);
        command
            .args(["--headless=new", "--remote-debugging-pipe", "--disable-gpu"])
            // Containers that the tests run in have neither what its sandbox needs nor a large
            // /dev/shm; it is shown our own page only.
            .args(["--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-component-update"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let theirs = [(commands_theirs.as_raw_fd(), 3), (messages_theirs.as_raw_fd(), 4)];
        // SAFETY: only async-signal-safe system calls; both descriptors are open until the child is
        // made.
        unsafe {
            command.pre_exec(move || in_place(theirs));
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        let mut browser = Browser {
            child,
            commands: commands.into(),
            messages: BufReader::new(messages.into()),
            session: None,
            last: 0,
            _profile: profile,
        };
        let target = browser.ask("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(String::from);
        browser.ask("Page.enable", json!({}));
        Some(browser)
    }

    /// A window of this size, CSS pixels, on a screen of a phone or a desk.
    pub fn size(&mut self, width: u32, height: u32, phone: bool) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone });
        self.ask("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// `light` or `dark`, as the user's system would prefer.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.ask("Emulation.setEmulatedMedia", features);
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, page: &Path) {
        let page = page.canonicalize().expect("the page is there");
        self.ask("Page.navigate", json!({ "url": format!("file://{}", page.display()) }));
        self.wait("Page.loadEventFired");
    }

    /// The value of an expression in the page, past the page's own policy.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let answer = self.ask("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Presses and releases a key.
    pub fn key(&mut self, key: &str, code: u32, text: Option<&str>) {
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if let (Some(text), "keyDown") = (text, kind) {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event);
        }
    }

    fn ask(&mut self, method: &str, parameters: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).expect("the browser takes commands");
        let id = self.last;
        let mut answer = self.next(|message| message["id"] == id);
        assert!(answer.get("error").is_none(), "{method}: {answer:#}");
        answer["result"].take()
    }

    fn wait(&mut self, event: &str) {
        self.next(|message| message["method"] == event);
    }

    fn next(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let mut bytes = Vec::new();
            if self.messages.buffer().is_empty() {
                let mut fds = [PollFd::new(self.messages.get_ref(), PollFlags::IN)];
                let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
                poll(&mut fds, Some(&patience)).expect("the pipe can be waited for");
                assert!(!fds[0].revents().is_empty(), "the browser said nothing for {PATIENCE:?}");
            }
            self.messages.read_until(0, &mut bytes).expect("the browser answers");
            assert_eq!(bytes.pop(), Some(0), "the browser ended");
            let message: Value = serde_json::from_slice(&bytes).expect("the browser speaks JSON");
            if wanted(&message) {
                return message;
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Closing the pipe would do, but the profile's folder can be removed only when there is no writer.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves descriptors to where the browser looks for them. They may overlap, so
/// both first go out of it.
fn in_place(theirs: [(i32, i32); 2]) -> std::io::Result<()> {
    use std::os::fd::BorrowedFd;
    const FREE: i32 = 10;
    let mut moved: [Option<OwnedFd>; 2] = [None, None];
    for ((from, _), moved) in theirs.iter().zip(&mut moved) {
        // SAFETY: open in the parent, and so here.
        let from = unsafe { BorrowedFd::borrow_raw(*from) };
        *moved = Some(rustix::io::fcntl_dupfd_cloexec(from, FREE)?);
    }
    for ((_, to), moved) in theirs.iter().zip(&moved) {
        let Some(moved) = moved else { continue };
        // SAFETY: whatever has this number here is the child's alone, and is to be replaced.
        let mut to = std::mem::ManuallyDrop::new(unsafe {
            <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(*to)
        });
        // A descriptor that `dup2` makes stays open over exec.
        rustix::io::dup2(moved, &mut to)?;
    }
    Ok(())
}

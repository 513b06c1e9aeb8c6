//! A program on a terminal of its own.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, ExitStatus, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a program whose standard output and standard error are a terminal of this many columns.
/// Returns how it ended and all that it wrote.
pub fn run(mut command: Command, columns: u16) -> (ExitStatus, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let name = name.into_string().expect("its name is text");
    let size = Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).expect("it has a size");
    let open = || File::options().read(true).write(true).open(&name).expect("it can be opened");
    command.stdin(Stdio::null()).stdout(open()).stderr(open()).env("TERM", "xterm-256color");
    let mut child = command.spawn().expect("the program is there");
    // The command keeps the terminal open, which would then never end.
    drop(command);
    let mut ours = File::from(ours);
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    // A terminal that no process has open gives an error (EIO), not the end of a file.
    while let Ok(got @ 1..) = ours.read(&mut buffer) {
        all.extend_from_slice(&buffer[..got]);
    }
    let status = child.wait().expect("a child can be waited for");
    (status, String::from_utf8_lossy(&all).into_owned())
}

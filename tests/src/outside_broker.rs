//! A Mosquitto that hilrig did not start, and the certificates for it, made by the program `openssl`.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::running::RunningProgram;
use crate::sandbox::Sandbox;

/// Runs `openssl` in the sandbox's folder. It must succeed.
#[track_caller]
pub fn openssl(sandbox: &Sandbox, arguments: &str) {
    let mut command = sandbox.command("openssl");
    let ended = command.args(arguments.split(' ')).output().expect("openssl is installed");
    assert!(ended.status.success(), "{arguments}: {}", String::from_utf8_lossy(&ended.stderr));
}

/// A CA `NAME.pem` with its key `NAME.key`.
pub fn authority(sandbox: &Sandbox, name: &str) {
    openssl(
        sandbox,
        &format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -days 2 -subj /CN={name} -addext keyUsage=critical,keyCertSign"
        ),
    );
}

/// A key `NAME.key` of this kind and the request `NAME.csr` for a certificate of this common name.
pub fn request(sandbox: &Sandbox, name: &str, key: &str, common_name: &str) {
    openssl(
        sandbox,
        &format!("req {key} -nodes -keyout {name}.key -out {name}.csr -subj /CN={common_name}"),
    );
}

/// The certificate `NAME.pem` of the request `NAME.csr`, signed by the CA, with these further arguments.
pub fn sign(sandbox: &Sandbox, ca: &str, name: &str, further: &str) {
    openssl(
        sandbox,
        &format!(
            "x509 -req -in {name}.csr -CA {ca}.pem -CAkey {ca}.key -CAcreateserial -out {name}.pem {further}"
        ),
    );
}

/// A P-256 key `NAME.key` and its certificate `NAME.pem`, signed by the CA, for `names`, as OpenSSL writes a
/// subjectAltName. Of a client's keys the firmware accepts P-256 alone.
pub fn issue(sandbox: &Sandbox, ca: &str, name: &str, names: &str) {
    request(sandbox, name, "-newkey ec -pkeyopt ec_paramgen_curve:P-256", name);
    sandbox.write(&format!("{name}.ext"), format!("subjectAltName={names}\n"));
    sign(sandbox, ca, name, &format!("-days 2 -extfile {name}.ext"));
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("it is bound").port()
}

/// Mosquitto with the certificate `NAME.pem` and these further lines of configuration, and its port.
pub fn mosquitto(sandbox: &Sandbox, name: &str, lines: &str) -> (RunningProgram, u16) {
    let port = free_port();
    let path = |end: &str| sandbox.path(format!("{name}.{end}")).display().to_string();
    let (certificate, key) = (path("pem"), path("key"));
    let file = sandbox.write(
        &format!("{name}.conf"),
        format!(
            "user root\nlog_dest stderr\nlistener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n{lines}\n"
        ),
    );
    // Not one of the sandbox's programs: it may run when those must be gone.
    let mut command = Command::new("mosquitto");
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    command.current_dir(sandbox.path("")).arg("-c").arg(file);
    let running = RunningProgram::start(command);
    // It buffers its log; an open port is enough, as hilrig checks the rest itself.
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "mosquitto opens no port {port} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
    (running, port)
}

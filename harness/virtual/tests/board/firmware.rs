//! Real firmware on virtual boards.

use std::time::{Duration, Instant};

use hilrig_virtual::{BoardState, VirtualBoardConfig};

use crate::bench::{BoardFolders, DEADLINE, TestBoard, firmware};
use crate::http;

const BOOTED: &str = "ESP8266 Mode:";

fn config(bench: &BoardFolders, name: &str, seed: u64) -> Option<(VirtualBoardConfig, Vec<u8>)> {
    let (boot_rom, image) = firmware()?;
    let qemu = "qemu-system-xtensa".into();
    Some((VirtualBoardConfig { boot_rom, qemu, seed, ..bench.config(name) }, image))
}

/// The board's page, as soon as there is one.
async fn page(board: &TestBoard) -> String {
    http::page(board.serving.ready().http).await
}

#[tokio::test]
async fn boots_what_was_flashed_and_obeys() {
    let bench = BoardFolders::new();
    let Some((config, image)) = config(&bench, "a", 3) else { return };
    let board = TestBoard::start(config.clone()).await;
    board.client(move |mut client| client.flash(0, &image)).await;
    let start = Instant::now();
    board.control.reset().await.unwrap();
    let log = board.client(|mut client| client.expect(BOOTED)).await;
    eprintln!("flash to `{BOOTED}` in {:?}", start.elapsed());
    assert!(log.contains("boot mode:(3,6)"), "{log}");
    let status = board.control.status().await.unwrap();
    assert_eq!(status.state, BoardState::Running);
    let qemu = status.qemu;

    // The reset button keeps QEMU.
    board.control.reset().await.unwrap();
    board.client(|mut client| client.expect(BOOTED)).await;
    assert_eq!(board.control.status().await.unwrap().qemu, qemu);

    // A silent board is up and prints nothing.
    board.control.silent().await.unwrap();
    board.control.reset().await.unwrap();
    page(&board).await;
    let heard = board.client(|mut client| client.read_until(Instant::now())).await;
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains("ets Jan") && !heard.contains(BOOTED), "{heard}");
    board.control.normal().await.unwrap();

    // The loader ends the firmware, and a reset brings it back.
    board.control.loader().await.unwrap();
    board
        .client(|mut client| {
            client.expect("boot mode:(1,6)");
            assert_eq!(client.ask(0x0A, &[0x4000_1000], &[]), (0xFFF0_C101, 0));
        })
        .await;
    board.control.reset().await.unwrap();
    board.client(|mut client| client.expect(BOOTED)).await;

    // Power.
    board.control.power_off().await.unwrap();
    assert!(http::get(board.serving.ready().http, "/config").await.is_err());
    board.control.power_on().await.unwrap();
    board.client(|mut client| client.expect(BOOTED)).await;
    let http = board.serving.ready().http;
    board.serving.stop().await.unwrap();

    // The next start boots at once, with the same MAC address.
    let board = TestBoard::start(config).await;
    let log = board.client(|mut client| client.expect(BOOTED)).await;
    assert!(log.contains("rst cause:1"), "{log}");
    assert_eq!(board.serving.ready().http.ip(), http.ip());
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn flash_end_runs_what_is_flashed() {
    let bench = BoardFolders::new();
    // A comma means something to QEMU.
    let Some((config, image)) = config(&bench, "a, b", 3) else { return };
    let board = TestBoard::start(config).await;
    board
        .client(move |mut client| {
            client.flash(0, &image);
            assert_eq!(client.ask(4, &[1], &[]).1, 0);
            client.expect(BOOTED);
        })
        .await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_qemu_that_is_killed_is_a_fault_and_a_reset_mends_it() {
    let bench = BoardFolders::new();
    let Some((config, image)) = config(&bench, "a", 3) else { return };
    let board = TestBoard::start(config).await;
    board.client(move |mut client| client.flash(0, &image)).await;
    board.control.reset().await.unwrap();
    let qemu = board.control.status().await.unwrap().qemu.unwrap();
    let pid = rustix::process::Pid::from_raw(qemu as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let until = Instant::now() + DEADLINE;
    let fault = loop {
        let status = board.control.status().await.unwrap();
        if let Some(fault) = status.fault {
            assert_eq!(status.state, BoardState::Fault);
            break fault;
        }
        assert!(Instant::now() < until, "QEMU's end is not told: {status:?}");
    };
    assert!(fault.contains("signal: 9"), "{fault}");
    board.control.reset().await.unwrap();
    board
        .client(|mut client| {
            client.expect(BOOTED);
        })
        .await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn thirty_two_boards_on_one_thread() {
    let bench = BoardFolders::new();
    if config(&bench, "0", 0).is_none() {
        return;
    }
    let mut boards = Vec::new();
    for number in 0..32 {
        let (config, image) = config(&bench, &number.to_string(), number).unwrap();
        std::fs::create_dir(&config.state_dir).unwrap();
        let mut flash = image;
        flash.resize(4 * 1024 * 1024, 0xFF);
        std::fs::write(config.state_dir.join("flash.bin"), flash).unwrap();
        boards.push(TestBoard::start(config).await);
    }
    let mut macs = std::collections::BTreeSet::new();
    let mut ports = std::collections::BTreeSet::new();
    for board in &boards {
        board.client(|mut client| client.expect(BOOTED)).await;
        macs.insert(board.serving.ready().mac);
        ports.insert(board.serving.ready().http);
    }
    assert_eq!((macs.len(), ports.len()), (32, 32));
    for board in boards {
        board.serving.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_pulled_cable_stops_the_network_and_nothing_else() {
    let bench = BoardFolders::new();
    let Some((config, image)) = config(&bench, "a", 3) else { return };
    let board = TestBoard::start(config).await;
    board.client(move |mut client| client.flash(0, &image)).await;
    // Out before the power is on: it stays out, and the firmware waits for its network.
    board.control.link_down().await.unwrap();
    board.control.reset().await.unwrap();
    let early = board.client(|mut client| client.expect("Settings:")).await;
    assert!(!board.control.status().await.unwrap().link);
    // No event shows that no line comes. On a board with its cable it comes in 50 ms.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let late = board.client(|mut client| client.read_until(Instant::now())).await;
    let log = early + &String::from_utf8_lossy(&late);
    assert!(!log.contains(BOOTED), "{log}");
    board.control.link_up().await.unwrap();
    page(&board).await;
    board.control.link_down().await.unwrap();
    let http = board.serving.ready().http;
    let request = tokio::spawn(http::get(http, "/config"));
    // No event shows that no answer comes. On a board with its cable one comes in 10 ms.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!request.is_finished(), "{:?}", request.await);
    board.control.link_up().await.unwrap();
    page(&board).await;
    request.abort();
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_port_that_qemu_cannot_have_is_changed_at_start_and_told_later() {
    let bench = BoardFolders::new();
    let Some((mut config, mut flash)) = config(&bench, "a", 3) else { return };
    std::fs::create_dir(&config.state_dir).unwrap();
    flash.resize(4 * 1024 * 1024, 0xFF);
    std::fs::write(config.state_dir.join("flash.bin"), flash).unwrap();
    // QEMU when another process takes a port just before it: first its argument, then the port in the
    // file.
    let taken = bench.dir.path().join("taken");
    config.qemu = bench.dir.path().join("qemu");
    let script = format!(
        "#!/bin/sh\nall=\"$*\"\nport=${{all#*tcp:127.0.0.1:}}\nport=${{port%%-*}}\n\
         test -e {0} || echo $port >{0}\n\
         if test $port = $(cat {0}); then\necho 'Could not set up host forwarding rule' >&2\n\
         exit 1\nfi\nexec qemu-system-xtensa \"$@\"\n",
        taken.display()
    );
    std::fs::write(&config.qemu, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&config.qemu, mode).unwrap();
    let board = TestBoard::start(config).await;
    page(&board).await;
    let http = board.serving.ready().http;
    assert_ne!(std::fs::read_to_string(&taken).unwrap().trim(), http.port().to_string());
    board.control.power_off().await.unwrap();
    std::fs::write(&taken, http.port().to_string()).unwrap();
    let error = board.control.power_on().await.unwrap_err().to_string();
    assert!(error.contains(&http.to_string()), "{error}");
    std::fs::write(&taken, "0").unwrap();
    board.control.power_on().await.unwrap();
    page(&board).await;
    board.serving.stop().await.unwrap();
}

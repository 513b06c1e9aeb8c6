//! The control socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hilrig_virtual::{BoardState, ControlCommand, VirtualBoard, VirtualError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{BoardFolders, Client, DEADLINE, TestBoard};

#[tokio::test]
async fn power_and_loader_as_asked() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let control = &board.control;
    control.power_off().await.unwrap();
    assert_eq!(control.status().await.unwrap().state, BoardState::Off);
    let error = control.loader().await.unwrap_err().to_string();
    assert!(error.contains("no power") && error.contains("power_on"), "{error}");
    control.power_on().await.unwrap();
    control.power_on().await.unwrap();
    control.loader().await.unwrap();
    let said = board.client(|mut client| client.expect("cause:2, boot mode:(1,6)")).await;
    assert_eq!(said.matches("cause:1, boot mode:(1,6)").count(), 2, "{said}");
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_command_is_answered_and_the_next_one_is_obeyed() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let mut stream = tokio::net::UnixStream::connect(board.control.path()).await.unwrap();
    stream.write_all(b"{\"do\":\"dance\"}\nnoise\n{\"do\":\"silent\"}\n").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    let answers: Vec<&str> = answers.lines().collect();
    assert!(answers[0].contains("\"ok\":false") && answers[0].contains("dance"), "{answers:?}");
    assert!(answers[1].contains("no command"), "{answers:?}");
    assert_eq!(answers[2], "{\"ok\":true}");
    assert!(board.control.status().await.unwrap().silent);

    let mut stream = tokio::net::UnixStream::connect(board.control.path()).await.unwrap();
    stream.write_all(&[b'x'; 4096]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("over 4096 bytes"), "{answer}");
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_flood_waits_for_its_reader_and_loses_nothing() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    board.client(|mut client| client.expect("boot mode:(1,6)\r\n\r\n")).await;
    let bytes = 10_000_000;
    board.control.flood(bytes, true).await.unwrap();
    let left = board.control.status().await.unwrap().trouble_left;
    assert!(left > 9_000_000, "{left} left before anybody reads");
    let (time, lines) = board
        .client(move |mut client| {
            let start = Instant::now();
            let (mut got, mut lines) = (0, 0);
            while got < bytes {
                let chunk = client.read_until(start + DEADLINE);
                assert!(!chunk.is_empty(), "{got} of {bytes} within {DEADLINE:?}");
                got += chunk.len() as u64;
                lines += chunk.iter().filter(|byte| **byte == b'\n').count();
            }
            (start.elapsed(), lines)
        })
        .await;
    eprintln!("flood: {:.0} MB/s", bytes as f64 / 1e6 / time.as_secs_f64());
    assert_eq!(lines as u64, bytes / 64);
    let status = board.control.status().await.unwrap();
    assert_eq!((status.lost_to_port, status.trouble_left), (0, 0));
    board.control.flood(u64::MAX, false).await.unwrap();
    board.control.normal().await.unwrap();
    assert_eq!(board.control.status().await.unwrap().trouble_left, 0);
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_flood_with_an_eager_reader_leaves_others_their_turn() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let mut client = Client::open(&board.serving.ready().port);
    let done = Arc::new(AtomicBool::new(false));
    let reader = tokio::task::spawn_blocking({
        let done = done.clone();
        move || {
            while !done.load(Ordering::Relaxed) {
                assert!(!client.read_until(Instant::now() + DEADLINE).is_empty());
            }
        }
    });
    board.control.flood(u64::MAX, true).await.unwrap();
    for _ in 0..20 {
        assert!(board.control.status().await.unwrap().trouble_left > 0);
    }
    done.store(true, Ordering::Relaxed);
    reader.await.unwrap();
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn garbage_is_decided_by_its_seed() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    board.client(|mut client| client.expect("boot mode:(1,6)\r\n\r\n")).await;
    let mut seen = Vec::new();
    for seed in [5, 5, 6] {
        board.control.garbage(300, seed).await.unwrap();
        let bytes = board
            .client(|mut client| {
                let until = Instant::now() + DEADLINE;
                let mut bytes = Vec::new();
                while bytes.len() < 300 {
                    let more = client.read_until(until);
                    assert!(!more.is_empty());
                    bytes.extend(more);
                }
                bytes
            })
            .await;
        assert_eq!(bytes.len(), 300);
        seen.push(bytes);
    }
    assert!(seen[0] == seen[1] && seen[1] != seen[2]);
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn the_second_board_in_a_folder_is_told_who_has_it() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let error = VirtualBoard::start(bench.config("a")).await.unwrap_err();
    assert!(
        matches!(error, VirtualError::Locked { process: Some(pid), .. } if pid == std::process::id())
    );
    board.serving.stop().await.unwrap();
    let again = bench.blank("a").await;
    again.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_board_leaves_its_flash_and_nothing_that_runs() {
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    let (port, dir) = (board.serving.ready().port.clone(), bench.dir.path().join("a"));
    assert_eq!(std::fs::read_link(dir.join("port")).unwrap(), port);
    board.serving.stop().await.unwrap();
    let mut left: Vec<_> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["board.json", "flash.bin", "lock"]);
    let error = board.control.send(ControlCommand::Status).await.unwrap_err().to_string();
    assert!(error.contains("hilrig virtual-board"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_remedy() {
    let bench = BoardFolders::new();
    let mut config = bench.config("a");
    config.qemu = "qemu-system-nothing".into();
    let error = VirtualBoard::start(config).await.unwrap_err().to_string();
    assert!(error.contains("qemu-system-nothing") && error.contains("apt-get install"), "{error}");
    let mut config = bench.config("a");
    config.boot_rom = "nowhere/bootrom.elf".into();
    let error = VirtualBoard::start(config).await.unwrap_err().to_string();
    assert!(error.contains("nowhere") && error.contains("make firmware"), "{error}");
    let mut config = bench.config("a");
    config.state_dir = bench.dir.path().join("long".repeat(30));
    let error = VirtualBoard::start(config).await.unwrap_err().to_string();
    assert!(error.contains("shorter path"), "{error}");
}

#[tokio::test]
async fn a_cpu_that_dies_at_start_is_a_fault_with_its_words() {
    let bench = BoardFolders::new();
    let qemu = bench.dir.path().join("broken-qemu");
    std::fs::write(&qemu, "#!/bin/sh\necho 'the machine is on fire' >&2\nexit 3\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&qemu, mode).unwrap();
    let mut config = bench.config("a");
    config.qemu = qemu;
    let board = TestBoard::start(config.clone()).await;
    board.client(|mut client| client.flash(0, &[0xE9; 0x400])).await;
    let error = board.control.reset().await.unwrap_err().to_string();
    assert!(error.contains("on fire") && error.contains("exit status: 3"), "{error}");
    let status = board.control.status().await.unwrap();
    assert_eq!(status.state, BoardState::Fault);
    assert!(status.fault.unwrap().contains("on fire"));
    board.control.loader().await.unwrap();
    assert_eq!(board.control.status().await.unwrap().state, BoardState::Loader);
    board.serving.stop().await.unwrap();
    let error = VirtualBoard::start(config).await.unwrap_err().to_string();
    assert!(error.contains("on fire"), "{error}");
}

//! A board on the fake loader's port, ready to be flashed.

#![allow(dead_code, reason = "each test binary uses its part")]

use std::cell::Cell;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::rc::Rc;

use async_trait::async_trait;
use hilrig_boards::{LoaderDeadlines, SerialBoard, SerialSettings};
use hilrig_core::board::{BoardFault, Reach, ResetLines};
use hilrig_core::config::BoardKind;
use hilrig_core::image::Image;

/// Lines that only count: the fake is always in its loader.
#[derive(Clone, Default)]
pub struct CountingLines {
    pub loader: Rc<Cell<u32>>,
    pub reset: Rc<Cell<u32>>,
}

#[async_trait(?Send)]
impl ResetLines for CountingLines {
    fn words(&self) -> String {
        "counting".into()
    }

    async fn enter_loader(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        self.loader.set(self.loader.get() + 1);
        Ok(())
    }

    async fn reset(&mut self, _: BorrowedFd<'_>) -> Result<(), BoardFault> {
        self.reset.set(self.reset.get() + 1);
        Ok(())
    }
}

pub fn settings(port: &Path, folder: &Path) -> SerialSettings {
    SerialSettings {
        name: "bench-1".into(),
        kind: BoardKind::Esp8266,
        port: port.into(),
        search: None,
        mac: None,
        reach: Reach { http: None, rig: [127, 0, 0, 1].into() },
        baud: 115_200,
        rom_baud: 115_200,
        flash_baud: 460_800,
        state: folder.join("state"),
        locks: folder.join("locks"),
        deadlines: LoaderDeadlines::default(),
    }
}

pub fn board(port: &Path, folder: &Path) -> SerialBoard {
    SerialBoard::new(settings(port, folder), Box::new(CountingLines::default()))
}

/// An image of `length` pseudo-random bytes of a seed, with all byte values.
pub fn image(length: usize, seed: u32) -> Image {
    let mut state = seed | 1;
    let bytes: Vec<u8> = (0..length)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 24) as u8
        })
        .collect();
    Image {
        path: "firmware.bin".into(),
        sha256: format!("{length:08x}{seed:08x}"),
        build: Some(format!("build-{seed}")),
        bytes: bytes.into(),
        data: Vec::new(),
    }
}

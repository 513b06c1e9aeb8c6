//! A virtual board that is served in this process, as `hilrig run` has it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hilrig_boards::{LoaderDeadlines, SerialBoard, SerialSettings};
use hilrig_core::board::{Board as _, Flashed, Reach};
use hilrig_core::config::BoardKind;
use hilrig_core::image::Image;
use hilrig_virtual::{ControlSocket, Serving, VirtualBoard, VirtualBoardConfig};

/// A board with the folder that it lives in.
pub struct MeasuredBoard {
    /// The rig's side of its port.
    pub rig: SerialBoard,
    /// Its reset line, power switch and cables.
    pub control: ControlSocket,
    serving: Serving,
    _dir: tempfile::TempDir,
}

impl MeasuredBoard {
    /// A blank board, which waits in its loader.
    pub async fn start(boot_rom: PathBuf) -> Result<MeasuredBoard, String> {
        let dir = tempfile::tempdir().map_err(|error| format!("making a folder: {error}"))?;
        let board = VirtualBoard::start(VirtualBoardConfig {
            state_dir: dir.path().join("board"),
            mac: None,
            seed: 1,
            qemu: "qemu-system-xtensa".into(),
            boot_rom,
            gdb: false,
        });
        let serving = board.await.map_err(|error| error.to_string())?.serve();
        let control = ControlSocket::new(&serving.ready().control);
        let rig = on_port(&serving.ready().port, dir.path(), control.clone(), 115_200);
        Ok(MeasuredBoard { rig, control, serving, _dir: dir })
    }

    /// Its port.
    pub fn port(&self) -> &Path {
        &self.serving.ready().port
    }

    /// Its flash.
    pub fn flash_file(&self) -> PathBuf {
        self._dir.path().join("board/flash.bin")
    }

    /// Writes the image, whatever is there.
    pub async fn flash(&mut self, image: &Image) -> Result<Flashed, String> {
        self.rig.lock("measuring", Duration::ZERO).await.map_err(|fault| fault.to_string())?;
        let flashed = self.rig.flash(image, true, Box::new(|_, _| {})).await;
        flashed.map_err(|fault| fault.to_string())
    }

    /// Ends it.
    pub async fn stop(mut self) -> Result<(), String> {
        self.rig.release().await;
        self.serving.stop().await.map_err(|error| error.to_string())
    }
}

/// The rig's side of any port, flashed at `flash_baud`.
pub fn on_port(port: &Path, dir: &Path, control: ControlSocket, flash_baud: u32) -> SerialBoard {
    let settings = SerialSettings {
        name: "bench".into(),
        kind: BoardKind::Virtual,
        port: port.into(),
        search: None,
        mac: None,
        reach: Reach { http: None, rig: [127, 0, 0, 1].into() },
        baud: 115_200,
        rom_baud: 115_200,
        flash_baud,
        state: dir.join("state"),
        locks: dir.join("locks"),
        deadlines: LoaderDeadlines { sync: Duration::from_secs(10), ..LoaderDeadlines::default() },
    };
    SerialBoard::new(settings, Box::new(control))
}

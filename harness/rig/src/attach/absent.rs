//! A board that could not be started.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use hilrig_core::board::{Board, BoardFault, Console, Flashed, Reach};
use hilrig_core::config::BoardConfig;
use hilrig_core::event::BoardFacts;
use hilrig_core::image::Image;

/// A board that is not there.
pub struct Absent {
    pub board: BoardConfig,
    pub fault: BoardFault,
}

#[async_trait(?Send)]
impl Board for Absent {
    fn name(&self) -> &str {
        &self.board.name
    }

    fn facts(&self) -> BoardFacts {
        BoardFacts { kind: self.board.kind.name().into(), port: "none".into(), mac: self.board.mac }
    }

    fn reach(&self) -> Reach {
        Reach { http: None, rig: IpAddr::from([127, 0, 0, 1]) }
    }

    async fn lock(&mut self, _: &str, _: Duration) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn flash(
        &mut self,
        _: &Image,
        _: bool,
        _: Box<dyn Fn(u64, u64) + Send>,
    ) -> Result<Flashed, BoardFault> {
        Err(self.fault.clone())
    }

    fn confirm_build(&mut self, _: &Image, _: Option<&str>) {}

    async fn console(&mut self) -> Result<Box<dyn Console>, BoardFault> {
        Err(self.fault.clone())
    }

    async fn reset(&mut self) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn sound(&mut self) -> Result<(), BoardFault> {
        Err(self.fault.clone())
    }

    async fn release(&mut self) {}
}

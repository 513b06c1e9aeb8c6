//! Flashing over the ROM loaders of Espressif's chips.

pub mod deadlines;
pub mod esp32_flasher;
pub mod esp8266_loader;
pub mod esp8266_rom;
mod espflash_pump;
mod flash_esp32;
mod flash_esp8266;
pub mod identify;
mod loader_port;
mod replies;

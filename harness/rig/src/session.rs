//! What a session does with its board.

pub mod boot_log;
pub mod configuration_mode;
pub mod mqtt_mode;
pub mod settings_form;
pub mod wire;

//! A scenario: what it declares, and how it runs.

use futures_util::future::LocalBoxFuture;

use super::spec::ScenarioSpec;
use super::steps::Steps;
use crate::session::Session;
use crate::session::mqtt_mode::Online;
use crate::stop::Stop;

type Done<'s> = LocalBoxFuture<'s, Result<(), Stop>>;

/// How a scenario runs, and the mode that the board must have.
pub(crate) enum Run {
    /// With the web server up.
    InConfigurationMode(for<'s> fn(&'s Session<'_>, &'s Steps) -> Done<'s>),
    /// With the board connected to the broker.
    InMqttMode(for<'s> fn(&'s Session<'_>, &'s Steps, &'s mut Online) -> Done<'s>),
}

/// A scenario.
pub(crate) struct ScenarioEntry {
    /// What it declares.
    pub spec: ScenarioSpec,
    /// How it runs.
    pub run: Run,
}

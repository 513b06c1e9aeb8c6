//! Starts the instances of one broker where the configuration wants them.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use hilrig_core::config::BrokerKind;

use super::instance::Instance;
use super::location::Location;
use super::plan::InstancePlan;
use crate::descriptions::BrokerDescription;
use crate::error::BrokerError;

/// Starts the instances of one broker: in containers, or as processes of this machine.
pub struct Launcher {
    software: Arc<BrokerDescription>,
    kind: BrokerKind,
    home: RefCell<Location>,
    /// It has answered in this place.
    answered: Cell<bool>,
}

impl Launcher {
    /// Chooses where its instances run, by the kind in the configuration. The image of a container is pulled or built
    /// if needed, which can take minutes. `notes` gets a line for each action and each finding. `run` is the run's
    /// id.
    ///
    /// # Errors
    /// [`BrokerError::NotInstalled`] or [`BrokerError::NoContainer`].
    pub async fn choose(
        software: Arc<BrokerDescription>,
        kind: BrokerKind,
        run: &str,
        notes: &mut dyn FnMut(String),
    ) -> Result<Launcher, BrokerError> {
        let home = Location::choose(&software, kind, run, notes).await?;
        Ok(Launcher { software, kind, home: RefCell::new(home), answered: Cell::new(false) })
    }

    /// The broker.
    pub fn software(&self) -> &Arc<BrokerDescription> {
        &self.software
    }

    /// Starts an instance. A broker that need not be in a container, and never answered in one, is a process from
    /// then on, and `notes` gets the reason.
    ///
    /// # Errors
    /// As of [`Instance::start`].
    pub async fn start(
        &self,
        order: InstancePlan,
        notes: &mut dyn FnMut(String),
    ) -> Result<Instance, BrokerError> {
        let home = self.home.borrow().clone();
        let preferred = home != Location::Process && self.kind == BrokerKind::Auto;
        let software = &self.software;
        let error = match Instance::start(software.clone(), home, order.clone()).await {
            Ok(instance) => {
                self.answered.set(true);
                return Ok(instance);
            }
            Err(error) => error,
        };
        let another_place_helps = !matches!(
            error,
            BrokerError::CannotSetUp { .. } | BrokerError::PortTaken { .. } | BrokerError::Stopped
        );
        if !(preferred && another_place_helps) || self.answered.get() || software.find().is_err() {
            return Err(error);
        }
        // The end of its log follows the first line.
        let found = error.to_string();
        let found = found.lines().next().unwrap_or_default();
        notes(format!("{} is a process, not in a container: {found}", software.title));
        self.home.replace(Location::Process);
        Instance::start(software.clone(), Location::Process, order).await
    }
}

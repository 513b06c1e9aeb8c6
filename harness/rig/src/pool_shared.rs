//! What the sessions of a pool share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use hilrig_core::event::Events;
use hilrig_core::mac::Mac;

use crate::broker_link::BrokerWatch;
use crate::plan::Plan;
use crate::topics::Topics;
use crate::watch::Patterns;

/// What the sessions of a pool share.
pub(crate) struct PoolShared<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Where events go.
    pub events: &'a Events,
    /// The contract's log patterns.
    pub patterns: Rc<Patterns>,
    /// The topics of the boards.
    pub topics: Topics,
    /// The MAC addresses that the boards report, each with the board's name.
    pub macs: RefCell<BTreeMap<Mac, String>>,
    /// The broker of the pool.
    pub broker: BrokerWatch,
}

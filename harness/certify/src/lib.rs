//! The certification of brokers for small devices.

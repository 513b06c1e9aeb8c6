//! What the reporters make of a stream of events.

mod documents;
mod events;
mod files;
mod sample;
mod screen;

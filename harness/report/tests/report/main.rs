//! What the reporters make of a stream of events.

mod certificates;
mod documents;
mod events;
mod files;
mod sample;
mod screen;

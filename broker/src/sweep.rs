//! What a killed run left, removed at the start of the next one.

use crate::{engine, rundir};

/// Removes what runs left whose process is gone: their folders, if they are this user's, and their
/// containers, if a Docker engine answers. Only what carries our marks, and only what this machine
/// can tell the owner of. `notes` is told what was removed and what could not be. Broker processes
/// need none of it: the system ends them with their run.
pub async fn sweep(notes: &mut dyn FnMut(String)) {
    for folder in rundir::temporary_folders() {
        rundir::sweep_in(&folder, notes);
    }
    if let Ok(engine) = engine::connect().await {
        engine::sweep_containers(&engine, notes).await;
    }
}

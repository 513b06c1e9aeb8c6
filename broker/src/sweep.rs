//! What a killed run left, removed at the start of the next one.

use crate::{engine, rundir};

/// Removes what runs left whose process is gone: their folders, if they are this user's, and their
/// containers, if a Docker engine answers. Only what carries our marks, and only what this machine
/// can tell the owner of. `notes` is told what was removed and what could not be. With a folder go the processes that
/// have it for their mark; a broker itself ends with its run.
pub async fn sweep(notes: &mut dyn FnMut(String)) {
    let mut swept = Vec::new();
    for folder in rundir::temporary_folders() {
        swept.extend(rundir::sweep_in(&folder, notes));
    }
    if let Ok(engine) = engine::connect().await {
        // Also those of which the engine's labels say nothing certain here.
        for run in &swept {
            engine::remove_containers_of(&engine, run).await;
        }
        engine::sweep_containers(&engine, notes).await;
    }
}

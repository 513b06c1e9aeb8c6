//! What a killed run left, removed at the start of the next one.

use crate::{docker, run_dir};

/// Removes what runs left whose process is gone: their folders, if they are this user's, and their
/// containers, if a Docker engine answers. Only what carries our marks, and only what this machine
/// can tell the owner of. `notes` gets what was removed and what could not be. With a folder go the processes that
/// have it for their mark; a broker itself ends with its run.
pub async fn sweep(notes: &mut dyn FnMut(String)) {
    let mut swept = Vec::new();
    for folder in run_dir::temporary_folders() {
        swept.extend(run_dir::sweep_in(&folder, notes));
    }
    if let Ok(engine) = docker::connect().await {
        // Also those of which the engine's labels say nothing certain here.
        for run in &swept {
            docker::remove_containers_of(&engine, run).await;
        }
        docker::sweep_containers(&engine, notes).await;
    }
}

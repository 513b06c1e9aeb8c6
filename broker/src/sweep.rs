//! Leftovers of a killed run, removed at the start of the next one.

use crate::{docker, run_dir};

/// Removes leftovers of runs whose process is gone: their folders, if this user owns them, and their containers, if a
/// Docker engine answers. Only what has hilrig's marks, and only if this machine can determine the owner. `notes`
/// gets what was removed and what could not be. With a folder, the processes that have it as their mark are ended; a
/// broker itself ends with its run.
pub async fn sweep(notes: &mut dyn FnMut(String)) {
    let mut swept = Vec::new();
    for folder in run_dir::temporary_folders() {
        swept.extend(run_dir::sweep_in(&folder, notes));
    }
    if let Ok(engine) = docker::connect().await {
        // Also those whose owner the engine's labels do not determine here.
        for run in &swept {
            docker::remove_containers_of(&engine, run).await;
        }
        docker::sweep_containers(&engine, notes).await;
    }
}

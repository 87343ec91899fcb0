//! `--config.auto-reload`: the configuration is read again when one of its files is another than before.

use crate::cli::ServeFlags;
use crate::config::prometheus_yml::PrometheusConfig;
use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Reloads with `reload` after a look every `interval` that found something changed, until `stopped`. A change that is no good
/// is tried once, and again when it changes.
pub(crate) async fn run<F: Future>(
    flags: ServeFlags,
    interval: Duration,
    mut stopped: watch::Receiver<bool>,
    reload: impl Fn() -> F,
) {
    let mut before = look(flags.clone()).await;
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        let now = look(flags.clone()).await;
        if now.is_some() && now != before {
            before = now;
            tracing::info!("a file of the configuration has changed");
            reload().await;
        }
    }
}

/// What the files are now; `None` if nobody can tell.
async fn look(flags: ServeFlags) -> Option<u64> {
    tokio::task::spawn_blocking(move || fingerprint(&flags)).await.ok()
}

/// Of all files and of what is in them. A file that is not there is one as well.
fn fingerprint(flags: &ServeFlags) -> u64 {
    let mut hasher = DefaultHasher::new();
    let named = [&flags.config_file, &flags.alertmanager_config_file, &flags.blackbox_config_file];
    named.into_iter().flatten().for_each(|path| add(path, &mut hasher));
    if let Some(path) = &flags.config_file
        && let Ok(config) = PrometheusConfig::load_with(path, flags.enabled())
    {
        for pattern in config.rule_files.iter().chain(&config.scrape_config_files) {
            let mut files: Vec<PathBuf> = system::glob::glob(&config.folder.join(pattern)).unwrap_or_default();
            files.sort();
            files.iter().for_each(|file| add(file, &mut hasher));
        }
    }
    hasher.finish()
}

fn add(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    std::fs::read(path).ok().hash(hasher);
}

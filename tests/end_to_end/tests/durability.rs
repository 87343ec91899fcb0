//! What was acknowledged is there after `kill -9`.

use anyhow::{Result, ensure};
use harness::{Vigie, until};
use std::time::Duration;

#[test]
fn samples_survive_kill_9() -> Result<()> {
    let mut vigie = Vigie::start(
        Some(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:1']}]}]",
        ),
        &[],
    )?;
    until(Duration::from_secs(20), "a few scrapes", || {
        let count = vigie.value("count_over_time(up[1h])")?;
        ensure!(count >= 3.0, "{count} samples");
        Ok(())
    })?;
    let before = vigie.value("count_over_time(up[1h])")?;
    vigie.restart()?;
    let after = vigie.value("count_over_time(up[1h])")?;
    assert!(after >= before, "{before} samples before, {after} after");
    Ok(())
}

#[test]
fn two_servers_do_not_share_a_folder() -> Result<()> {
    let vigie = Vigie::start(None, &[])?;
    let second = Vigie::start_in(&vigie.folder, None, &[]);
    let Err(error) = second else { panic!("the second one started") };
    assert!(format!("{error:#}").contains("lock"), "{error:#}");
    Ok(())
}

//! `vigie tsdb verify` and `repair`.

use super::super::{output::say, progress::Progress};
use anyhow::{Result, ensure};
use std::{path::Path, process::ExitCode};

/// Places of damage that are told one by one; a broken disk has millions.
const TOLD_MAX: usize = 200;

fn tell_damage(damage: &[tsdb::Damage]) {
    for one in damage.iter().take(TOLD_MAX) {
        say(&format!("damaged: {one}"));
    }
    if damage.len() > TOLD_MAX {
        say(&format!("… and {} places more", damage.len() - TOLD_MAX));
    }
}

pub(super) fn verify(dir: &Path) -> Result<ExitCode> {
    ensure!(dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", dir.display());
    let mut progress = Progress::new();
    let found = tsdb::verify(dir, &mut |done, all| {
        progress.tell(done, all, || format!("{} of {} read", bytes(done), bytes(all)));
    })?;
    drop(progress);
    tell_damage(&found.damage);
    for note in &found.notes {
        say(&format!("note: {note}"));
    }
    let whole = format!("{} blocks and {} log segments, {}", found.blocks, found.segments, bytes(found.bytes));
    if found.damage.is_empty() {
        say(&format!("{whole}: everything is as it was written"));
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("{whole}: {} damaged; `vigie tsdb repair` keeps the rest", places(found.damage.len())));
    Ok(ExitCode::FAILURE)
}

pub(super) fn repair(dir: &Path) -> Result<ExitCode> {
    ensure!(dir.is_dir(), "{}: there is no such folder; name it in --storage.tsdb.path", dir.display());
    let mut progress = Progress::new();
    let outcome = tsdb::repair(dir, &mut |done, all| {
        progress.tell(done, all, || format!("{done} of {all} blocks and log segments"));
    })?;
    drop(progress);
    tell_damage(&outcome.damage);
    for repaired in &outcome.repaired {
        let unit = if repaired.is_block { "samples" } else { "bytes" };
        let lost = match repaired.lost {
            Some(lost) => format!("{lost} lost"),
            None => "nobody knows how many are lost".to_owned(),
        };
        let aside = repaired.aside.as_ref().map_or(String::new(), |aside| format!("; as it was: {}", aside.display()));
        say(&format!("repaired: {}: {} {unit} kept, {lost}{aside}", repaired.path.display(), repaired.kept));
    }
    match outcome.damage.len() {
        0 => say("nothing is damaged"),
        count => {
            say(&format!("{} repaired; delete {}/damaged when you no longer want it", places(count), dir.display()))
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn places(count: usize) -> String {
    if count == 1 { "1 place is".to_owned() } else { format!("{count} places are") }
}

/// A size for people.
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut size, mut unit) = (bytes as f64, 0);
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    let name = units.get(unit).copied().unwrap_or_default();
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {name}") }
}

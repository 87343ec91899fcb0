//! `kill -9` at any moment, again and again, under load: remote write from several senders, scrapes, and now and then
//! everything put into blocks. `VIGIE_KILL_ROUNDS=1000 cargo test -p end_to_end --test real kill_rounds` for more rounds.

use anyhow::{Context, Result, ensure};
use harness::{Vigie, http, until};
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const SENDERS: usize = 3;
/// Series of a request that are there in all of them; as many others are new in each round.
const SERIES: usize = 200;
/// Samples are looked for so far back.
const WINDOW: &str = "3h";
/// Then another folder: what was written is read in each round, which takes longer and longer.
const ROUNDS_A_FOLDER: u64 = 200;

/// The same numbers in every run of a seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }
}

fn put_uvarint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of protobuf with bytes.
fn put_bytes(out: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    out.push(field << 3 | 2);
    put_uvarint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A series with one sample, as remote write 1.0 has it.
pub(crate) fn put_series(out: &mut Vec<u8>, labels: &[(&str, &str)], time_ms: i64, value: f64) {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        put_bytes(&mut label, 1, name.as_bytes());
        put_bytes(&mut label, 2, value.as_bytes());
        put_bytes(&mut series, 1, &label);
    }
    let mut sample = vec![1 << 3 | 1];
    sample.extend_from_slice(&value.to_le_bytes());
    sample.push(2 << 3);
    put_uvarint(&mut sample, time_ms as u64);
    put_bytes(&mut series, 2, &sample);
    put_bytes(out, 1, &series);
}

/// Snappy's format without any compression.
pub(crate) fn snappy(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_uvarint(&mut out, bytes.len() as u64);
    for part in bytes.chunks(1 << 16) {
        out.push(61 << 2);
        out.extend_from_slice(&((part.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A request of a sender: its number is the value of the series that the checks look at.
fn request(sender: usize, round: u64, number: u64, time_ms: i64, noise: &mut Noise) -> Vec<u8> {
    let (sender, round) = (sender.to_string(), round.to_string());
    let mut body = Vec::new();
    for at in 0..SERIES {
        let (at_text, value) =
            (at.to_string(), if at == 0 { number as f64 } else { f64::from_bits(noise.next() >> 2) });
        let labels = [("__name__", "sent"), ("at", &at_text), ("job", "load"), ("sender", &sender)];
        put_series(&mut body, &labels, time_ms, value);
        let labels =
            [("__name__", "churning"), ("at", &at_text), ("job", "load"), ("round", &round), ("sender", &sender)];
        put_series(&mut body, &labels, time_ms, number as f64);
    }
    snappy(&body)
}

/// Sends until nobody answers. Gives how many requests were acknowledged, from number `next` on.
fn send(url: &str, sender: usize, round: u64, next: u64, last_ms: &mut i64, stop: &AtomicBool) -> Result<u64> {
    let mut noise = Noise(round * 31 + sender as u64);
    let mut acknowledged = 0;
    while !stop.load(Ordering::Acquire) {
        *last_ms = now_ms().max(*last_ms + 1);
        let body = request(sender, round, next + acknowledged, *last_ms, &mut noise);
        let headers = [("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
        match http::send("POST", url, &headers, &body) {
            Ok(answer) if answer.status / 100 == 2 => acknowledged += 1,
            Ok(answer) => ensure!(stop.load(Ordering::Acquire), "HTTP {}: {}", answer.status, answer.text()),
            // The server was killed.
            Err(_) => break,
        }
    }
    Ok(acknowledged)
}

/// Times at which targets are known to have been scraped.
fn scrapes(vigie: &Vigie) -> Result<BTreeSet<String>> {
    let series = vigie.query(&format!("up[{WINDOW}]"))?;
    let values = series.iter().flat_map(|series| series["values"].as_array().cloned().unwrap_or_default());
    Ok(values.map(|pair| pair[0].to_string()).collect())
}

#[test]
#[expect(clippy::print_stderr, reason = "with `--nocapture` it tells what it did")]
fn kill_rounds() -> Result<()> {
    let rounds: u64 = std::env::var("VIGIE_KILL_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(4);
    let mut noise = Noise(u64::from(std::process::id()));
    let (mut done, mut acknowledged, mut slowest) = (0, 0, Duration::ZERO);
    while done < rounds {
        let now = ROUNDS_A_FOLDER.min(rounds - done);
        let (own, ready) = on_one_folder(now, &mut noise)?;
        (done, acknowledged, slowest) = (done + now, acknowledged + own, slowest.max(ready));
        eprintln!(
            "{done} rounds, {acknowledged} requests of {} samples acknowledged, none lost; ready after {slowest:?} at most",
            2 * SERIES
        );
    }
    Ok(())
}

/// Kills and starts a server so many times. Gives how many requests were acknowledged, and the longest time until one was
/// ready again.
fn on_one_folder(rounds: u64, noise: &mut Noise) -> Result<(u64, Duration)> {
    let mut vigie = Vigie::start_with_port(
        |port| {
            format!(
                "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs: [{{job_name: self, \
                 static_configs: [{{targets: ['127.0.0.1:{port}', '127.0.0.1:1']}}]}}]"
            )
        },
        &["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"],
    )?;
    let series = serde_json::Value::from(SERIES.to_string());
    let mut next = [0_u64; SENDERS];
    let mut last_ms = [0_i64; SENDERS];
    let (mut acknowledged_all, mut slowest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let stop = AtomicBool::new(false);
        let life = Duration::from_millis(50 + noise.next() % 450);
        let compacts = noise.next().is_multiple_of(3).then(|| life.mul_f64((noise.next() % 100) as f64 / 100.0));
        let url = vigie.url("/api/v1/write");
        let compact_url = vigie.url("/api/v1/admin/tsdb/compact");
        let (acknowledged, scraped) = std::thread::scope(|scope| -> Result<_> {
            let senders: Vec<_> = (next.iter().zip(&mut last_ms).enumerate())
                .map(|(sender, (next, last_ms))| {
                    let (url, stop, next) = (&url, &stop, *next);
                    scope.spawn(move || send(url, sender, round, next, last_ms, stop))
                })
                .collect();
            if let Some(after) = compacts {
                let url = &compact_url;
                scope.spawn(move || {
                    std::thread::sleep(after);
                    let _ = http::post(url, "", "");
                });
            }
            let begun = Instant::now();
            let mut scraped = BTreeSet::new();
            while begun.elapsed() < life {
                // What was shown once must not be gone.
                scraped = scrapes(&vigie)?;
                std::thread::sleep(Duration::from_millis(20));
            }
            vigie.program.kill()?;
            stop.store(true, Ordering::Release);
            let counts =
                senders.into_iter().map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?);
            Ok((counts.collect::<Result<Vec<u64>>>()?, scraped))
        })?;
        let started = Instant::now();
        vigie.restart()?;
        slowest = slowest.max(started.elapsed());
        for (sender, acknowledged) in acknowledged.iter().enumerate() {
            let at = format!("round {round}, sender {sender}, {acknowledged} acknowledged from {} on", next[sender]);
            let selector = format!("sent{{at=\"0\",sender=\"{sender}\"}}");
            let known = next[sender] + acknowledged;
            let value = |query: String| vigie.value(&query).with_context(|| at.clone());
            let count = value(format!("sum(count_over_time({selector}[{WINDOW}])) or vector(0)"))?;
            let newest = value(format!("max(max_over_time({selector}[{WINDOW}])) or vector(-1)"))?;
            // The request in work may be there or not; nothing between is missing, and nothing is there twice.
            ensure!(count == newest + 1.0, "{at}: {count} samples up to number {newest}");
            ensure!(count >= known as f64 && count <= (known + 1) as f64, "{at}: {count} samples of {known}");
            let others = vigie.query(&format!("count_over_time(sent{{sender=\"{sender}\"}}[{WINDOW}]) != {count}"))?;
            ensure!(others.is_empty(), "{at}: {count} samples, but of others: {others:?}");
            let new = count - next[sender] as f64;
            let churning = format!("count_over_time(churning{{sender=\"{sender}\",round=\"{round}\"}}[{WINDOW}])");
            let there = vigie.query(&format!("count({churning} == {new})"))?;
            ensure!(new == 0.0 || there.len() == 1 && there[0]["value"][1] == series, "{at}: {there:?}");
            next[sender] = count as u64;
            acknowledged_all += acknowledged;
        }
        let there = scrapes(&vigie)?;
        let lost: Vec<_> = scraped.difference(&there).collect();
        ensure!(lost.is_empty(), "round {round}: scrapes of {lost:?} are gone");
    }
    let damage =
        until(Duration::from_secs(20), "a scrape of itself", || vigie.value("prometheus_tsdb_wal_corruptions_total"))?;
    ensure!(damage == 0.0, "{damage} places of damage");
    ensure!(acknowledged_all > 0, "nothing was acknowledged in {rounds} rounds");
    Ok((acknowledged_all, slowest))
}

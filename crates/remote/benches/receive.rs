//! Receiving remote write without HTTP: `cargo bench -p remote --bench receive`. With `VIGIE_RACE=FOLDER` the requests are
//! those of a data set of the racing harness, else made up.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench ends where something is not as it should be, and prints"
)]

use remote::receive::Receiver;
use std::{
    fs::File,
    io::{BufReader, Read},
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tsdb::{Tsdb, TsdbOptions};

const SENDERS: usize = 4;
/// Of made-up requests.
const SERIES: usize = 2500;
const REQUESTS: i64 = 500;

/// Bodies of requests, one after the other.
type Requests = Box<dyn Iterator<Item = Vec<u8>> + Send>;

/// Requests of a file of the harness: each behind 24 bytes, which begin with its length.
fn recorded(path: &Path) -> Option<Requests> {
    let mut file = BufReader::new(File::open(path).ok()?);
    Some(Box::new(std::iter::from_fn(move || {
        let mut header = [0; 24];
        file.read_exact(&mut header).ok()?;
        let mut body = vec![0; u32::from_le_bytes(header[..4].try_into().ok()?) as usize];
        file.read_exact(&mut body).ok()?;
        Some(body)
    })))
}

/// Appends a field of a protobuf message that is shorter than 16 KiB.
fn field(number: u8, content: &[u8], out: &mut Vec<u8>) {
    out.extend([number << 3 | 2, content.len() as u8 | 0x80, (content.len() >> 7) as u8]);
    out.extend_from_slice(content);
}

fn label(name: &str, value: &str, out: &mut Vec<u8>) {
    let mut message = Vec::new();
    field(1, name.as_bytes(), &mut message);
    field(2, value.as_bytes(), &mut message);
    field(1, &message, out);
}

/// Two scrapes a request, as a sender of five targets has them.
fn made_up(sender: usize) -> Requests {
    let labels: Vec<Vec<u8>> = (0..SERIES)
        .map(|at| {
            let mut labels = Vec::new();
            label("__name__", &format!("metric_{}_total", at % 100), &mut labels);
            label("device", &format!("device-{}", at / 100 % 5), &mut labels);
            label("instance", &format!("host-{sender}-{}:9100", at / 500), &mut labels);
            label("job", "node", &mut labels);
            labels
        })
        .collect();
    Box::new((0..REQUESTS).map(move |request| {
        let mut out = Vec::new();
        for step in [request * 2, request * 2 + 1] {
            for (at, labels) in labels.iter().enumerate() {
                // A third of the values change.
                let value = if at % 3 == 0 { (step * (at as i64 % 7 + 1)) as f64 } else { at as f64 };
                let mut sample = vec![1 << 3 | 1];
                sample.extend(value.to_le_bytes());
                sample.push(2 << 3);
                let mut time = (1_700_000_000_000 + step * 15_000) as u64;
                while time >= 0x80 {
                    sample.push(time as u8 | 0x80);
                    time >>= 7;
                }
                sample.push(time as u8);
                let mut series = labels.clone();
                field(2, &sample, &mut series);
                field(1, &series, &mut out);
            }
        }
        snap::raw::Encoder::new().compress_vec(&out).unwrap()
    }))
}

/// A line of the process' status, in MB.
fn status_mb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0_u64) / 1024
}

fn main() {
    let folder = std::env::var("VIGIE_RACE").ok();
    let dir = tempfile::tempdir_in(".").unwrap();
    let options = TsdbOptions { retention_ms: 0, ..TsdbOptions::new(dir.path()) };
    let tsdb = Tsdb::open(options.clone()).unwrap();
    let receiver = Receiver::default();
    let (samples, busy_ns, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let started = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if tsdb.is_maintenance_due() {
                    tsdb.maintain().unwrap();
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let requests = match &folder {
                    Some(folder) => recorded(&Path::new(folder).join(format!("shard-{sender:02}.rw"))).unwrap(),
                    None => made_up(sender),
                };
                let (receiver, tsdb, samples, busy_ns) = (&receiver, &tsdb, &samples, &busy_ns);
                scope.spawn(move || {
                    for body in requests {
                        let started = Instant::now();
                        let received = receiver.receive(tsdb.as_ref(), "", "snappy", &body).unwrap();
                        busy_ns.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
                        samples.fetch_add(received.receipt.samples, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        done.store(true, Ordering::Relaxed);
    });
    let count = samples.load(Ordering::Relaxed) as f64;
    println!(
        "{:.1} M samples: {:.2} M samples/s, {:.0} ns of waiting a sample and sender; memory {} MB, at most {} MB",
        count / 1e6,
        count / 1e6 / started.elapsed().as_secs_f64(),
        busy_ns.load(Ordering::Relaxed) as f64 / count,
        status_mb("VmRSS"),
        status_mb("VmHWM"),
    );
    tsdb.maintain().unwrap();
    println!("after maintenance {} MB, {} series in the head", status_mb("VmRSS"), tsdb.status(1).series);
    drop((receiver, tsdb));
    let started = Instant::now();
    let tsdb = Tsdb::open(options).unwrap();
    println!("opened again in {:.3} s, {} series", started.elapsed().as_secs_f64(), tsdb.status(1).series);
}

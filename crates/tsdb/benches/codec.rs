//! Bytes a sample, and how long columns take to encode and to decode: `cargo bench -p tsdb --bench codec`.
//! With `VIGIE_RECORDED` naming a folder of recordings (`cargo xtask record`), also on what real exporters said.

use std::{
    collections::HashMap,
    error::Error,
    io::Write as _,
    path::Path,
    time::{Duration, Instant},
};
use tsdb::codec::{floats, times};

/// How long each case is repeated at least; the quickest repetition counts, for machines are shared.
const PATIENCE: Duration = Duration::from_millis(400);
const ROWS: usize = 480;

/// A generator of numbers that look random and are the same in every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    }

    fn below(&mut self, limit: u64) -> f64 {
        (self.next() % limit) as f64
    }
}

fn patterns() -> Vec<(&'static str, Vec<Vec<f64>>)> {
    let mut noise = Noise(7);
    let mut columns = |name: &'static str, value: &mut dyn FnMut(&mut Noise, f64, usize) -> f64| {
        let all = (0..100)
            .map(|_| {
                let mut last = 0.0;
                (0..ROWS)
                    .map(|row| {
                        last = value(&mut noise, last, row);
                        last
                    })
                    .collect()
            })
            .collect();
        (name, all)
    };
    vec![
        columns("constant", &mut |_, _, _| 42.0),
        columns("idle counter", &mut |noise, last, _| last + f64::from(noise.below(200) < 1.0)),
        columns("counter", &mut |noise, last, _| last + noise.below(7)),
        columns("busy counter", &mut |noise, last, _| last + 1400.0 + noise.below(200)),
        columns("cpu seconds", &mut |noise, last, _| ((last * 100.0).round() + noise.below(500)) / 100.0),
        columns("memory in pages", &mut |noise, last, _| last.max(1e9) + (noise.below(41) - 20.0) * 4096.0),
        columns("gauge, 2 decimals", &mut |noise, _, _| (5000.0 + noise.below(60)) / 100.0),
        columns("sum of durations", &mut |noise, last, _| last + noise.below(3_000_000) / 1e9),
        columns("all bits", &mut |noise, _, _| f64::from_bits(noise.next() >> 12 | 0x3ff0_0000_0000_0000)),
        columns("NaN now and then", &mut |noise, _, _| if noise.below(9) < 1.0 { f64::NAN } else { noise.below(30) }),
    ]
}

/// The columns of recorded series, cut to chunks of [`ROWS`].
fn recorded(dir: &Path) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let mut columns: HashMap<String, Vec<f64>> = HashMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        for line in text.lines() {
            let Some((key, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else { continue };
            if let Ok(value) = value.parse::<f64>() {
                columns.entry(format!("{}{key}", path.display())).or_default().push(value);
            }
        }
    }
    let mut columns: Vec<(String, Vec<f64>)> = columns.into_iter().collect();
    columns.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(columns.iter().flat_map(|(_, column)| column.chunks(ROWS).map(<[f64]>::to_vec)).collect())
}

fn best(mut run: impl FnMut()) -> Duration {
    let (begin, mut best) = (Instant::now(), Duration::MAX);
    while begin.elapsed() < PATIENCE {
        let one = Instant::now();
        run();
        best = best.min(one.elapsed());
    }
    best
}

fn measure(name: &str, columns: &[Vec<f64>]) -> Result<(), Box<dyn Error>> {
    let samples: usize = columns.iter().map(Vec::len).sum();
    let mut bytes = Vec::new();
    let encode = best(|| {
        bytes.clear();
        columns.iter().for_each(|column| floats::encode(column, &mut bytes));
    });
    let mut decoded = Vec::new();
    let mut failed = false;
    let decode = best(|| {
        let mut rest = bytes.as_slice();
        for column in columns {
            decoded.clear();
            match floats::decode(rest, column.len(), &mut decoded) {
                Ok(used) => rest = &rest[used..],
                Err(_) => failed = true,
            }
        }
    });
    assert!(!failed, "a column cannot be decoded");
    let each = |time: Duration| time.as_secs_f64() * 1e9 / samples as f64;
    writeln!(
        std::io::stdout(),
        "{name:22} {:6.3} bytes, encode {:5.1} ns, decode {:5.2} ns ({:.0} M/s) a sample, {samples} samples",
        bytes.len() as f64 / samples as f64,
        each(encode),
        each(decode),
        1e3 / each(decode),
    )?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let all = patterns();
    for (name, columns) in &all {
        measure(name, columns)?;
    }
    measure("all patterns", &all.into_iter().flat_map(|(_, columns)| columns).collect::<Vec<_>>())?;
    let mut noise = Noise(3);
    let column: Vec<i64> =
        (0..ROWS as i64).map(|row| 1_700_000_000_000 + row * 15_000 + noise.below(3) as i64).collect();
    let mut bytes = Vec::new();
    times::encode(&column, &mut bytes);
    let mut decoded = Vec::new();
    let decode = best(|| {
        decoded.clear();
        assert!(times::decode(&bytes, &mut decoded).is_ok());
    });
    let rows = ROWS as f64;
    writeln!(
        std::io::stdout(),
        "times with jitter      {:6.3} bytes, decode {:.2} ns a row",
        bytes.len() as f64 / rows,
        decode.as_secs_f64() * 1e9 / rows
    )?;
    match std::env::var_os("VIGIE_RECORDED") {
        Some(dir) => {
            let columns = recorded(Path::new(&dir))?;
            measure("recorded", &columns)?;
            let changing: Vec<_> = columns
                .into_iter()
                .filter(|column| column.iter().any(|v| v.to_bits() != column[0].to_bits()))
                .collect();
            measure("recorded, changing", &changing)?;
        }
        None => writeln!(std::io::stdout(), "VIGIE_RECORDED names no folder of recordings: patterns only")?,
    }
    Ok(())
}

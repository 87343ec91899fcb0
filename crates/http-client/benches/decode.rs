//! What undoing a `Content-Encoding` costs, beside reading bit by bit: `cargo bench -p http-client`. The body is like
//! node_exporter's.

use http::{HeaderMap, HeaderValue};
use http_client::Response;
use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

/// How long each case is repeated; the quickest pass counts.
const PATIENCE: Duration = Duration::from_millis(700);

fn body() -> Vec<u8> {
    let mut text = String::new();
    for i in 0..1100 {
        if i % 8 == 0 {
            let _ = write!(text, "# HELP node_thing_{i}_total What it counts.\n# TYPE node_thing_{i}_total counter\n");
        }
        let value = (i * 7919) as f64 / if i % 3 == 0 { 100.0 } else { 1.0 };
        let _ = writeln!(text, "node_thing_{}_total{{cpu=\"{}\",mode=\"system\"}} {value}", i / 8 * 8, i % 8);
    }
    text.into_bytes()
}

fn main() -> std::io::Result<()> {
    let body = body();
    let mut out = std::io::stdout().lock();
    for level in [1, 6] {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(&body)?;
        let packed = encoder.finish()?;
        let slow = measure(&body, |into| {
            into.clear();
            flate2::bufread::MultiGzDecoder::new(packed.as_slice()).read_to_end(into).is_ok()
        });
        let quick = decode("gzip", &packed, &body);
        writeln!(out, "gzip, level {level}: {quick:6.0} MB/s, bit by bit {slow:6.0}")?;
    }
    let packed = zstd::bulk::compress(&body, 3)?;
    let slow = measure(&body, |into| {
        into.clear();
        zstd::Decoder::with_buffer(packed.as_slice()).is_ok_and(|mut decoder| decoder.read_to_end(into).is_ok())
    });
    writeln!(out, "zstd, level 3: {:6.0} MB/s, bit by bit {slow:6.0}", decode("zstd", &packed, &body))
}

fn decode(encoding: &'static str, packed: &[u8], body: &[u8]) -> f64 {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_static(encoding))]);
    let response = Response { status: 200, headers, body: packed.to_vec().into() };
    measure(body, |into| response.decode_into(1 << 20, into).is_ok())
}

/// Megabytes of the body a second, of the quickest pass.
fn measure(body: &[u8], pass: impl Fn(&mut Vec<u8>) -> bool) -> f64 {
    let mut into = Vec::new();
    let (started, mut best) = (Instant::now(), f64::INFINITY);
    while started.elapsed() < PATIENCE {
        let begun = Instant::now();
        let read = black_box(pass(&mut into));
        best = best.min(begun.elapsed().as_secs_f64());
        assert!(read && into == body, "the body comes back");
    }
    body.len() as f64 / best / 1e6
}

//! The body of an answer: read, undone, looked at.

use super::{HttpProbe, Seen, cel};
use crate::probe::Run;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io::Read;
use tokio::time::Instant;

/// Bytes of a body that are kept for patterns and expressions, and that may come of undoing a compression.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// -1 where the answer tells no length, as Go has it.
pub(super) fn content_length(headers: &HeaderMap, body: &Incoming) -> f64 {
    let told = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let exact = if body.is_end_stream() { Some(0.0) } else { None };
    told.or(exact).unwrap_or(-1.0)
}

/// Reads the body to its end, and judges it if nothing was wrong before. False if something is wrong now.
pub(super) async fn judge(run: &mut Run, options: &HttpProbe, body: Incoming, judged: bool, seen: &mut Seen) -> bool {
    let patterns =
        !options.fail_if_body_matches_regexp.is_empty() || !options.fail_if_body_not_matches_regexp.is_empty();
    let expressions =
        !options.fail_if_body_json_matches_cel.is_empty() || !options.fail_if_body_json_not_matches_cel.is_empty();
    let compressed = !matches!(options.compression.as_str(), "" | "identity");
    let keep = compressed || (judged && (patterns || expressions));
    let started = Instant::now();
    let read = read(run, options, body, keep, seen).await;
    seen.phases.transfer += started.elapsed();
    let mut bytes = match read {
        Ok(bytes) => bytes,
        Err(error) => {
            run.error("Failed to read HTTP response body", &[("err", error)]);
            return false;
        }
    };
    if compressed {
        let (undone, error) = undo(&options.compression, &bytes);
        seen.uncompressed = undone.len() as u64;
        bytes = undone;
        if let Some(error) = error {
            run.error("Failed to get decompressor for HTTP response body", &[("err", error)]);
            return false;
        }
    }
    if judged && patterns && !patterns_pass(run, options, &bytes) {
        seen.failed_by_regex = true;
        return false;
    }
    if expressions {
        seen.failed_by_cel = Some(false);
        if judged && !expressions_pass(run, options, &bytes) {
            seen.failed_by_cel = Some(true);
            return false;
        }
    }
    true
}

async fn read(
    run: &Run,
    options: &HttpProbe,
    mut body: Incoming,
    keep: bool,
    seen: &mut Seen,
) -> Result<Vec<u8>, String> {
    let limit = options.body_size_limit.filter(|limit| limit.0 > 0).map_or(u64::MAX, |limit| limit.0);
    let mut kept = Vec::new();
    let mut count = 0_u64;
    while let Some(frame) = run.limit(async { body.frame().await.transpose() }).await? {
        let Some(data) = frame.data_ref() else { continue };
        count += data.len() as u64;
        seen.uncompressed = count.min(limit);
        if count > limit {
            return Err("http: request body too large".into());
        }
        if keep {
            if kept.len() + data.len() > KEPT_BYTES_MAX {
                return Err(format!("the body has more than {KEPT_BYTES_MAX} bytes to look at; set body_size_limit"));
            }
            kept.extend_from_slice(data);
        }
    }
    Ok(kept)
}

/// The original of a compressed body, as far as it could be had, and why not further.
fn undo(compression: &str, bytes: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut decoder: Box<dyn Read + '_> = match compression {
        "gzip" => Box::new(flate2::read::GzDecoder::new(bytes)),
        "deflate" => Box::new(flate2::read::DeflateDecoder::new(bytes)),
        "br" => Box::new(brotli::Decompressor::new(bytes, 4096)),
        other => return (Vec::new(), Some(format!("unknown compression {other:?}"))),
    };
    let mut undone = Vec::new();
    let error = decoder.by_ref().take(KEPT_BYTES_MAX as u64 + 1).read_to_end(&mut undone).err().map(|e| e.to_string());
    if undone.len() > KEPT_BYTES_MAX {
        return (undone, Some(format!("the body expands beyond {KEPT_BYTES_MAX} bytes")));
    }
    (undone, error)
}

fn patterns_pass(run: &mut Run, options: &HttpProbe, bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    for pattern in &options.fail_if_body_matches_regexp {
        if pattern.0.is_match(&text) {
            run.error("Body matched regular expression", &[("regexp", pattern.0.as_str().to_owned())]);
            return false;
        }
    }
    for pattern in &options.fail_if_body_not_matches_regexp {
        if !pattern.0.is_match(&text) {
            run.error("Body did not match regular expression", &[("regexp", pattern.0.as_str().to_owned())]);
            return false;
        }
    }
    true
}

fn expressions_pass(run: &mut Run, options: &HttpProbe, bytes: &[u8]) -> bool {
    let json = match serde_json::from_slice(bytes) {
        Ok(json) => json,
        Err(error) => {
            run.error("Error unmarshalling HTTP body to JSON", &[("err", error.to_string())]);
            return false;
        }
    };
    let lists = [
        (&options.fail_if_body_json_matches_cel, true, "Body matched CEL expression"),
        (&options.fail_if_body_json_not_matches_cel, false, "Body did not match CEL expression"),
    ];
    for (expression, fails_if, message) in lists {
        if expression.is_empty() {
            continue;
        }
        match cel::evaluate(expression, &json) {
            Ok(truth) if truth != fails_if => {}
            Ok(_) => {
                run.error(message, &[("expression", expression.clone())]);
                return false;
            }
            Err(error) => {
                run.error("Error evaluating CEL expression", &[("expression", expression.clone()), ("err", error)]);
                return false;
            }
        }
    }
    true
}

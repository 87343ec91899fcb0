//! Undoing `Content-Encoding` with a limit after expansion.

use crate::HttpClientError;
use bytes::Bytes;
use std::io::Read;

/// 8 MiB, as RFC 9659 has it for `Content-Encoding: zstd`: a frame tells its window first, and it is allocated first.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

pub(crate) fn decode(encoding: &str, body: &Bytes, limit: usize) -> Result<Bytes, HttpClientError> {
    if is_identity(encoding) && body.len() <= limit {
        return Ok(body.clone());
    }
    let mut out = Vec::with_capacity(body.len().saturating_mul(6).min(limit).min(8 << 20));
    decode_into(encoding, body, limit, &mut out)?;
    Ok(out.into())
}

pub(crate) fn decode_into(encoding: &str, body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), HttpClientError> {
    out.clear();
    let encoding = encoding.trim().to_ascii_lowercase();
    // One byte more than allowed tells an exact fit from too much.
    let most = limit as u64 + 1;
    let read = match encoding.as_str() {
        "" | "identity" => {
            if body.len() > limit {
                return Err(HttpClientError::BodyTooLarge { limit });
            }
            out.extend_from_slice(body);
            return Ok(());
        }
        "gzip" | "x-gzip" => flate2::bufread::MultiGzDecoder::new(body).take(most).read_to_end(out),
        "deflate" => flate2::bufread::ZlibDecoder::new(body).take(most).read_to_end(out),
        "zstd" => zstd::Decoder::with_buffer(body).and_then(|mut decoder| {
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            decoder.take(most).read_to_end(out)
        }),
        _ => {
            return Err(HttpClientError::Encoding {
                encoding,
                reason: "not known here; send gzip, deflate, zstd or identity".into(),
            });
        }
    };
    read.map_err(|error| broken(&encoding, &error))?;
    if out.len() > limit {
        return Err(HttpClientError::BodyTooLarge { limit });
    }
    Ok(())
}

fn is_identity(encoding: &str) -> bool {
    let encoding = encoding.trim();
    encoding.is_empty() || encoding.eq_ignore_ascii_case("identity")
}

fn broken(encoding: &str, error: &std::io::Error) -> HttpClientError {
    HttpClientError::Encoding { encoding: encoding.to_owned(), reason: format!("the body is damaged: {error}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const LIMIT: usize = 1 << 20;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).and_then(|()| encoder.finish()).unwrap()
    }

    #[test]
    fn damaged_bodies_are_refused_within_the_limit() {
        let body: Vec<u8> = (0..4_000_u32).flat_map(|at| format!("m{{i=\"{at}\"}} {at}\n").into_bytes()).collect();
        let zlib = {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body).and_then(|()| encoder.finish()).unwrap()
        };
        for (encoding, seed) in
            [("gzip", gzip(&body)), ("deflate", zlib), ("zstd", zstd::encode_all(body.as_slice(), 1).unwrap())]
        {
            let mut out = Vec::new();
            decode_into(encoding, &seed, LIMIT, &mut out).unwrap();
            assert_eq!(out, body);
            mutation::run(encoding, &[seed], 300, |bytes| {
                let mut out = Vec::new();
                let read = decode_into(encoding, bytes, LIMIT, &mut out);
                assert!(read.is_err() || out.len() <= LIMIT);
            });
        }
    }

    #[test]
    fn a_window_that_is_told_too_large_is_refused() {
        // A frame with a window of 128 MiB and one empty block.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
        let refused = decode_into("zstd", &frame, LIMIT, &mut Vec::new());
        assert!(matches!(refused, Err(HttpClientError::Encoding { .. })), "{refused:?}");
        // One of 8 MiB is taken.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x68, 0x01, 0x00, 0x00];
        assert!(decode_into("zstd", &frame, LIMIT, &mut Vec::new()).is_ok());
    }
}

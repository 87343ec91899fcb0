//! Undoing `Content-Encoding` with a limit after expansion.

use crate::HttpClientError;
use bytes::Bytes;
use std::io::Read;

/// 8 MiB, as RFC 9659 has it for `Content-Encoding: zstd`: a frame tells its window first, and it is allocated first.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Deflate makes no more bytes than this of one, zstd seldom does: who announces more is read bit by bit, without the memory.
const FACTOR_MAX: usize = 1032;
/// What a member of a gzip file begins with (RFC 1952, 2.3.1), its method being deflate.
const GZIP_START: [u8; 3] = [0x1f, 0x8b, 8];

pub(crate) fn decode(encoding: &str, body: &Bytes, limit: usize) -> Result<Bytes, HttpClientError> {
    if is_identity(encoding) && body.len() <= limit {
        return Ok(body.clone());
    }
    let mut out = Vec::with_capacity(body.len().saturating_mul(6).min(limit).min(8 << 20));
    decode_into(encoding, body, limit, &mut out)?;
    Ok(out.into())
}

pub(crate) fn decode_into(encoding: &str, body: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), HttpClientError> {
    let encoding = encoding.trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => {
            out.clear();
            if body.len() > limit {
                return Err(HttpClientError::BodyTooLarge { limit });
            }
            out.extend_from_slice(body);
            return Ok(());
        }
        "gzip" | "x-gzip" if gzip_at_once(body, limit, out) => return Ok(()),
        "zstd" if zstd_at_once(body, limit, out) => return Ok(()),
        _ => out.clear(),
    }
    // One byte more than allowed tells an exact fit from too much.
    let most = limit as u64 + 1;
    let read = match encoding.as_str() {
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

/// Inflates a body of one member that says truly how long it is, as nearly all are. False: it is another one, too long or
/// damaged, and `out` has anything.
fn gzip_at_once(body: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
    let Some(length) = body.last_chunk().map(|length| u32::from_le_bytes(*length) as usize) else { return false };
    if length > limit || length / FACTOR_MAX > body.len() || has_further_member(body) {
        return false;
    }
    // What a body before this one left there need not be made zeros.
    out.resize(length, 0);
    matches!(libdeflater::Decompressor::new().gzip_decompress(body, out), Ok(written) if written == length)
}

/// True also where the bytes only look so.
fn has_further_member(body: &[u8]) -> bool {
    memchr::memchr_iter(GZIP_START[0], body)
        .skip(1)
        .any(|at| body.get(at..).is_some_and(|rest| rest.starts_with(&GZIP_START)))
}

/// As [`gzip_at_once`] for one frame that tells its length.
fn zstd_at_once(body: &[u8], limit: usize, out: &mut Vec<u8>) -> bool {
    let Ok(Some(length)) = zstd::zstd_safe::get_frame_content_size(body) else { return false };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= limit) else { return false };
    if length / FACTOR_MAX > body.len() || zstd::zstd_safe::find_frame_compressed_size(body) != Ok(body.len()) {
        return false;
    }
    out.clear();
    out.reserve(length);
    let read = zstd::bulk::Decompressor::new().and_then(|mut decoder| decoder.decompress_to_buffer(body, out));
    read.is_ok_and(|read| read == length)
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

    fn decoded(encoding: &str, body: &[u8], limit: usize) -> Result<Vec<u8>, String> {
        // What memory that is used again held before must not matter.
        let mut out = vec![7; 1000];
        decode_into(encoding, body, limit, &mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    /// However a body is put together, the quick way gives what the other one gives.
    #[test]
    fn at_once_and_on_and_on() {
        let text: Vec<u8> = (0..2000).flat_map(|i| format!("metric{{k=\"{}\"}} {i}\n", i % 7).into_bytes()).collect();
        let one = gzip(&text);
        let (start, end) = text.split_at(text.len() / 2);
        let two = [gzip(start), gzip(end)].concat();
        let same = [gzip(end), gzip(end)].concat();
        let zstd = zstd::encode_all(text.as_slice(), 1).unwrap();
        let frames = [zstd::bulk::compress(start, 1).unwrap(), zstd::bulk::compress(end, 1).unwrap()].concat();
        let lengthy = zstd::bulk::compress(&text, 1).unwrap();
        for (encoding, body, expected) in [
            ("gzip", &one, &text),
            ("x-gzip", &two, &text),
            ("GZIP", &same, &[end, end].concat()),
            ("gzip", &gzip(b""), &Vec::new()),
            ("zstd", &zstd, &text),
            ("zstd", &frames, &text),
            ("zstd", &lengthy, &text),
        ] {
            assert_eq!(decoded(encoding, body, expected.len()).as_ref(), Ok(expected), "{encoding}");
            if let Some(less) = expected.len().checked_sub(1) {
                assert!(decoded(encoding, body, less).is_err(), "{encoding} beyond the limit");
            }
            for cut in [0, 1, 5, body.len() / 3, body.len() - 1] {
                assert!(cut == 0 || decoded(encoding, &body[..cut], 1 << 20).is_err(), "{encoding} of {cut} bytes");
            }
        }
        assert!(gzip_at_once(&one, text.len(), &mut Vec::new()) && zstd_at_once(&lengthy, text.len(), &mut Vec::new()));
        assert!(!gzip_at_once(&same, 1 << 20, &mut Vec::new()) && !zstd_at_once(&frames, 1 << 20, &mut Vec::new()));
    }

    /// A few bytes that announce half a gigabyte are not given it.
    #[test]
    fn announced_lengths_are_not_believed() {
        let mut liar = gzip(b"short");
        let at = liar.len() - 4;
        liar[at..].copy_from_slice(&(500_u32 << 20).to_le_bytes());
        let mut out = Vec::new();
        assert!(decode_into("gzip", &liar, 512 << 20, &mut out).is_err());
        assert!(out.capacity() < 1 << 20);
        liar[at..].copy_from_slice(&4_u32.to_le_bytes());
        assert!(decode_into("gzip", &liar, 512 << 20, &mut out).is_err());
    }
}

//! Undoing `Content-Encoding` with a limit after expansion.

use crate::HttpClientError;
use bytes::Bytes;
use std::io::Read;

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
        "zstd" => zstd::Decoder::with_buffer(body).and_then(|decoder| decoder.take(most).read_to_end(out)),
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

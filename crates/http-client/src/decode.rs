//! Undoing `Content-Encoding` with a limit after expansion.

use crate::HttpClientError;
use bytes::Bytes;
use std::io::{BufReader, Read};

pub(crate) fn decode(encoding: &str, body: &Bytes, limit: usize) -> Result<Bytes, HttpClientError> {
    let encoding = encoding.trim().to_ascii_lowercase();
    let reader: Box<dyn Read + '_> = match encoding.as_str() {
        "" | "identity" => {
            return if body.len() > limit { Err(HttpClientError::BodyTooLarge { limit }) } else { Ok(body.clone()) };
        }
        "gzip" | "x-gzip" => Box::new(flate2::bufread::MultiGzDecoder::new(&body[..])),
        "deflate" => Box::new(flate2::bufread::ZlibDecoder::new(&body[..])),
        "zstd" => {
            Box::new(zstd::Decoder::with_buffer(BufReader::new(&body[..])).map_err(|error| broken(&encoding, &error))?)
        }
        _ => {
            return Err(HttpClientError::Encoding {
                encoding,
                reason: "not known here; send gzip, deflate, zstd or identity".into(),
            });
        }
    };
    let mut out = Vec::with_capacity(body.len().saturating_mul(6).min(limit).min(8 << 20));
    // One byte more than allowed tells an exact fit from too much.
    reader.take(limit as u64 + 1).read_to_end(&mut out).map_err(|error| broken(&encoding, &error))?;
    if out.len() > limit {
        return Err(HttpClientError::BodyTooLarge { limit });
    }
    Ok(out.into())
}

fn broken(encoding: &str, error: &std::io::Error) -> HttpClientError {
    HttpClientError::Encoding { encoding: encoding.to_owned(), reason: format!("the body is damaged: {error}") }
}

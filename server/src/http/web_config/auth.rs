//! Passwords of those who ask, and headers of all answers.

use super::WebConfigFile;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, StatusCode, header};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Semaphore;

/// Longest credentials that are looked at.
const CREDENTIALS_BYTES_MAX: usize = 1024;
/// Good credentials that are remembered: a hash takes a core some 50 ms on purpose.
const REMEMBERED_MAX: usize = 100;
/// Hashes that are computed at one time, so that guesses do not take the machine.
const HASHES_AT_ONCE: usize = 2;
/// What an unknown name's password is compared with, for to take as long as that of a known one. It fits no password.
const NOBODY: &str = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi";

pub(super) fn is_hash(text: &str) -> bool {
    text.parse::<bcrypt::HashParts>().is_ok()
}

/// Lets in who has a password, where passwords are asked for.
pub(crate) struct Gate {
    file: Arc<WebConfigFile>,
    /// Name, hash and password that fitted.
    known: Mutex<HashSet<(String, String, String)>>,
    hashing: Semaphore,
}

impl Gate {
    pub(crate) fn new(file: Arc<WebConfigFile>) -> Gate {
        Gate { file, known: Mutex::default(), hashing: Semaphore::new(HASHES_AT_ONCE) }
    }

    async fn lets_in(&self, users: &std::collections::BTreeMap<String, String>, headers: &HeaderMap) -> bool {
        let Some((name, password)) = credentials(headers) else { return false };
        let (is_known, hash) = match users.get(&name) {
            Some(hash) => (true, hash.clone()),
            None => (false, NOBODY.to_owned()),
        };
        let key = (name, hash, password);
        if is_known && self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&key) {
            return true;
        }
        let Ok(_place) = self.hashing.acquire().await else { return false };
        let (password, hash) = (key.2.clone(), key.1.clone());
        let fits = tokio::task::spawn_blocking(move || bcrypt::verify(password, &hash).unwrap_or(false)).await;
        let is_in = is_known && fits.unwrap_or(false);
        if is_in {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= REMEMBERED_MAX {
                known.clear();
            }
            known.insert(key);
        }
        is_in
    }
}

/// Name and password of HTTP's basic authentication.
fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let text = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > CREDENTIALS_BYTES_MAX {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

/// Asks for a password where the web configuration has users, and sets its headers.
pub(crate) async fn guard(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    let config = gate.file.now();
    let mut response = if config.users.is_empty() || gate.lets_in(&config.users, request.headers()).await {
        next.run(request).await
    } else {
        (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Basic")], "Unauthorized\n").into_response()
    };
    for (name, value) in &config.headers {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, text.parse().unwrap());
            credentials(&headers)
        };
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(read("Basic YWxpY2U6c2U6Y3JldA=="), pair("alice", "se:cret"));
        assert_eq!(read("basic YWxpY2U6"), pair("alice", ""));
        assert_eq!(read("Basic YWxpY2U="), None);
        assert_eq!(read("Bearer YWxpY2U6c2U6Y3JldA=="), None);
        assert_eq!(read(&format!("Basic {}", "YWxp".repeat(300))), None);
    }

    #[test]
    fn hashes_are_known() {
        assert!(is_hash(NOBODY));
        assert!(is_hash("$2b$05$fH66594sb2NQyt0yfV0zM.xSoBDg5hFdiIP4VHNbn9km5KMFHAxVK"));
        assert!(!is_hash("secret") && !is_hash(""));
    }
}

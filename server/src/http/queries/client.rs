//! Who asks.

use crate::http::App;
use axum::extract::{ConnectInfo, FromRequestParts};
use http::request::Parts;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

/// Longest name of a user that is kept.
const USER_CHARS_MAX: usize = 128;

/// The address of a request as it was asked: nested routers see only what is left of it.
#[derive(Clone, Debug)]
pub(crate) struct AskedUri(pub(crate) http::Uri);

/// The client of a request: its address, and the user that a trusted proxy names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client {
    /// Without a port.
    pub(crate) address: String,
    /// "" unless `--web.user-header` is set and the request has that header.
    pub(crate) user: String,
    pub(crate) method: String,
    pub(crate) path: String,
}

impl Client {
    /// What slots are shared by: users where they are known, else addresses.
    pub(super) fn key(&self) -> &str {
        if self.user.is_empty() { &self.address } else { &self.user }
    }
}

impl FromRequestParts<Arc<App>> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Client, Infallible> {
        let address = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map(|ConnectInfo(address)| address.ip().to_canonical().to_string())
            .unwrap_or_default();
        let header = app.flags.user_header.as_str();
        let user = if header.is_empty() { None } else { parts.headers.get(header).and_then(|v| v.to_str().ok()) };
        Ok(Client {
            address,
            user: user.unwrap_or_default().chars().take(USER_CHARS_MAX).collect(),
            method: parts.method.as_str().to_owned(),
            path: parts.extensions.get::<AskedUri>().map_or(&parts.uri, |AskedUri(uri)| uri).path().to_owned(),
        })
    }
}

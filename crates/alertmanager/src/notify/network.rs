//! The delivery over the network.

use super::{BoxFuture, Delivery, HttpSender, Mail, NotifyError};
use http_client::{HttpClient, HttpClientConfig, Request, Response};
use std::sync::Arc;

/// The delivery over the network.
pub fn network() -> Arc<dyn Delivery> {
    Arc::new(Network)
}

struct Network;

struct Client(HttpClient);

impl HttpSender for Client {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, String>> {
        Box::pin(async move { self.0.send(request).await.map_err(|error| error.to_string()) })
    }
}

impl Delivery for Network {
    fn http_client(&self, config: &HttpClientConfig) -> Result<Arc<dyn HttpSender>, String> {
        Ok(Arc::new(Client(HttpClient::new(config).map_err(|error| error.to_string())?)))
    }

    fn mail(&self, mail: Mail) -> BoxFuture<'_, Result<(), NotifyError>> {
        Box::pin(super::email::send(mail))
    }
}

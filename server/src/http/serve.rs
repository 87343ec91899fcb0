//! Listening: plain HTTP/1 and HTTP/2, a bound on connections, a calm end.

use super::request_line::EscapedLines;
use super::web_config::{Tls, WebConfigFile};
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

/// How long requests under way may take after the end was asked for.
const DRAIN: Duration = Duration::from_secs(5);
/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to agree on encryption.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `stop` turns true, then lets requests under way finish.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    web: Option<Arc<WebConfigFile>>,
    mut stop: watch::Receiver<bool>,
) {
    let slots = Arc::new(Semaphore::new(connections_max));
    let graceful = GracefulShutdown::new();
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                // Out of file descriptors, mostly: trying again at once would only spin.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Answers are small and people wait for them.
        let _ = stream.set_nodelay(true);
        let service = router.clone().map_request(move |mut request: http::Request<_>| {
            request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
            let uri = request.uri().clone();
            request.extensions_mut().insert(super::queries::AskedUri(uri));
            request
        });
        let service = TowerToHyperService::new(service);
        let config = web.as_ref().map(|file| file.now());
        let mut builder = builder.clone();
        if config.as_ref().is_some_and(|config| config.without_http2) {
            builder = builder.http1_only();
        }
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            let _slot = slot;
            let done = match config.as_ref().and_then(|config| config.tls.as_ref()) {
                None => {
                    let io = TokioIo::new(EscapedLines::new(stream));
                    watcher.watch(builder.serve_connection(io, service).into_owned()).await
                }
                Some(tls) => match encrypted(tls, stream).await {
                    Ok(stream) => {
                        let io = TokioIo::new(EscapedLines::new(stream));
                        watcher.watch(builder.serve_connection(io, service).into_owned()).await
                    }
                    Err(error) => Err(error.into()),
                },
            };
            if let Err(error) = done {
                tracing::debug!(%error, %peer, "a connection ended early");
            }
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = tokio::time::sleep(DRAIN) => tracing::warn!("requests were still under way after {DRAIN:?}; closing all the same"),
    }
}

async fn encrypted(tls: &Tls, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let accepting = TlsAcceptor::from(Arc::clone(&tls.config)).accept(stream);
    let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting)
        .await
        .map_err(|_| std::io::Error::other("no agreement on encryption in time"))??;
    if !tls.accepts(stream.get_ref().1.peer_certificates()) {
        return Err(std::io::Error::other("the client's certificate has none of client_allowed_sans"));
    }
    Ok(stream)
}

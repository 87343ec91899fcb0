//! `POST /api/v1/read`: our samples for somebody else's query.

use crate::http::App;
use crate::http::error::text;
use crate::http::queries::{Asked, Client, Kind};
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use std::sync::Arc;

pub(crate) async fn read(State(app): State<Arc<App>>, client: Client, body: Bytes) -> Response {
    let ticket = match app.queries.admit(Asked::of(client, Kind::RemoteRead, "")).await {
        Ok(ticket) => ticket,
        Err(error) => {
            let status = StatusCode::from_u16(error.kind.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            return text(status, format!("{}\n", error.message));
        }
    };
    let workers = app.workers.clone();
    let work = workers.run(move || {
        let _ticket = ticket;
        let external = app.settings.load().external_labels.clone();
        remote::read::answer(app.tsdb.as_ref(), &body, &external, app.flags.remote_read_sample_limit)
    });
    match work.await {
        Ok(Ok(bytes)) => {
            ([(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")], bytes)
                .into_response()
        }
        Ok(Err(error)) => text(
            StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            format!("{error}\n"),
        ),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

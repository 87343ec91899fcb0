//! The operations of `/api/v2`, without HTTP: parameters in, JSON types or an error with its status out.

use crate::Alertmanager;
use api::alerts::{
    AlertGroup, AlertmanagerStatus, GettableAlert, GettableSilence, PostableAlert, PostableSilence, SilenceCreated,
};

/// An answer that is no success: the status and the JSON body, as upstream sends them.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    pub status: u16,
    /// A JSON string for most errors, an object with `code` and `message` for errors of the request's form.
    pub body: serde_json::Value,
}

/// Parameters of `GET /alerts` and `GET /alerts/groups`.
#[derive(Clone, Debug)]
pub struct AlertsQuery {
    pub active: bool,
    pub silenced: bool,
    pub inhibited: bool,
    pub unprocessed: bool,
    pub muted: bool,
    /// Matchers as text, all must hold.
    pub filter: Vec<String>,
    /// Regular expression on the receiver's name.
    pub receiver: Option<String>,
}

impl Default for AlertsQuery {
    fn default() -> Self {
        AlertsQuery {
            active: true,
            silenced: true,
            inhibited: true,
            unprocessed: true,
            muted: true,
            filter: Vec::new(),
            receiver: None,
        }
    }
}

impl AlertsQuery {
    /// Reads the URL's query pairs: `active=false&filter=a%3D"b"` decoded. Unknown names are ignored; a value that
    /// is no bool counts as false, as upstream does.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let _ = pairs.into_iter().count();
        unimplemented!()
    }
}

impl Alertmanager {
    /// `GET /alerts`.
    ///
    /// # Errors
    /// 400 for a bad filter or receiver.
    pub fn get_alerts(&self, query: &AlertsQuery) -> Result<Vec<GettableAlert>, ApiError> {
        let _ = query;
        unimplemented!()
    }

    /// `GET /alerts/groups`.
    ///
    /// # Errors
    /// As [`Alertmanager::get_alerts`].
    pub fn get_alert_groups(&self, query: &AlertsQuery) -> Result<Vec<AlertGroup>, ApiError> {
        let _ = query;
        unimplemented!()
    }

    /// `POST /alerts`: valid alerts are taken even if others of the call are not.
    ///
    /// # Errors
    /// 400 with all that is wrong.
    pub fn post_alerts(&self, alerts: &[PostableAlert]) -> Result<(), ApiError> {
        let _ = alerts;
        unimplemented!()
    }

    /// `GET /silences`.
    ///
    /// # Errors
    /// 400 for a bad filter.
    pub fn get_silences(&self, filter: &[String]) -> Result<Vec<GettableSilence>, ApiError> {
        let _ = filter;
        unimplemented!()
    }

    /// `POST /silences`: creates, or replaces the one with the same id. Durable when it returns; blocks for one write to disk.
    ///
    /// # Errors
    /// 400 for a silence that is not valid, 404 for an unknown id.
    pub fn post_silence(&self, silence: &PostableSilence) -> Result<SilenceCreated, ApiError> {
        let _ = silence;
        unimplemented!()
    }

    /// `GET /silence/{id}`.
    ///
    /// # Errors
    /// 422 for an id that is no UUID, 404 for an unknown one.
    pub fn get_silence(&self, id: &str) -> Result<GettableSilence, ApiError> {
        let _ = id;
        unimplemented!()
    }

    /// `DELETE /silence/{id}`: expires it. Blocks for one write to disk.
    ///
    /// # Errors
    /// As [`Alertmanager::get_silence`].
    pub fn delete_silence(&self, id: &str) -> Result<(), ApiError> {
        let _ = id;
        unimplemented!()
    }

    /// `GET /receivers`: JSON objects with `name` (and upstream's `labels`).
    pub fn get_receivers(&self) -> Vec<serde_json::Value> {
        unimplemented!()
    }

    /// `GET /status`.
    pub fn get_status(&self) -> AlertmanagerStatus {
        unimplemented!()
    }
}

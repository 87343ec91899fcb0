//! `/api/v2`.

use super::{
    Answer,
    transport::{delete, encode, encode_pairs, get, post},
};
use api::alerts::{AlertmanagerStatus, GettableAlert, GettableSilence, PostableSilence, SilenceCreated};

fn filters(matchers: &[String]) -> String {
    if matchers.is_empty() {
        return String::new();
    }
    format!("?{}", encode_pairs(matchers.iter().map(|matcher| ("filter", matcher.as_str()))))
}

/// `GET /api/v2/alerts`, of those that all `matchers` (as `name="value"`) let through.
pub async fn alerts(matchers: &[String]) -> Answer<Vec<GettableAlert>> {
    get(&format!("/api/v2/alerts{}", filters(matchers)), None).await
}

/// `GET /api/v2/silences`.
pub async fn silences(matchers: &[String]) -> Answer<Vec<GettableSilence>> {
    get(&format!("/api/v2/silences{}", filters(matchers)), None).await
}

/// `GET /api/v2/silence/<id>`.
pub async fn silence(id: &str) -> Answer<GettableSilence> {
    get(&format!("/api/v2/silence/{}", encode(id)), None).await
}

/// `POST /api/v2/silences`; gives the new id.
pub async fn create_silence(silence: &PostableSilence) -> Answer<String> {
    post("/api/v2/silences", silence).await.map(|created: SilenceCreated| created.silence_id)
}

/// `DELETE /api/v2/silence/<id>`.
pub async fn expire_silence(id: &str) -> Answer<()> {
    delete(&format!("/api/v2/silence/{}", encode(id))).await
}

/// `GET /api/v2/status`.
pub async fn status() -> Answer<AlertmanagerStatus> {
    get("/api/v2/status", None).await
}

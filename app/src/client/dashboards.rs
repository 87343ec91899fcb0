//! Dashboards and data sources.

use super::{
    Answer,
    transport::{delete, encode, encode_pairs, get, post},
};
use api::dashboards::{
    DashboardFull, DashboardVersion, DashboardVersions, DataSource, MarkdownSource, RenderedMarkdown, RestoreDashboard,
    SaveDashboard, SavedDashboard, SearchHit,
};

/// `GET /api/search`.
pub async fn search(query: &str, tags: &[String]) -> Answer<Vec<SearchHit>> {
    let mut pairs = vec![("type", "dash-db"), ("query", query)];
    pairs.extend(tags.iter().map(|tag| ("tag", tag.as_str())));
    get(&format!("/api/search?{}", encode_pairs(pairs)), None).await
}

/// `GET /api/dashboards/uid/<uid>`.
pub async fn dashboard(uid: &str) -> Answer<DashboardFull> {
    get(&format!("/api/dashboards/uid/{}", encode(uid)), None).await
}

/// `POST /api/dashboards/db`. A 412 (`ClientError::Refused`) carries a `DashboardProblem` in its body.
pub async fn save_dashboard(save: &SaveDashboard) -> Answer<SavedDashboard> {
    post("/api/dashboards/db", save).await
}

/// `DELETE /api/dashboards/uid/<uid>`.
pub async fn delete_dashboard(uid: &str) -> Answer<()> {
    delete(&format!("/api/dashboards/uid/{}", encode(uid))).await
}

/// `GET /api/dashboards/uid/<uid>/versions`, newest first.
pub async fn versions(uid: &str) -> Answer<Vec<DashboardVersion>> {
    get(&format!("/api/dashboards/uid/{}/versions", encode(uid)), None)
        .await
        .map(|list: DashboardVersions| list.versions)
}

/// `GET /api/dashboards/uid/<uid>/versions/<version>`, with its data.
pub async fn version(uid: &str, version: u64) -> Answer<DashboardVersion> {
    get(&format!("/api/dashboards/uid/{}/versions/{version}", encode(uid)), None).await
}

/// `POST /api/dashboards/uid/<uid>/restore`.
pub async fn restore_version(uid: &str, version: u64) -> Answer<SavedDashboard> {
    post(&format!("/api/dashboards/uid/{}/restore", encode(uid)), &RestoreDashboard { version }).await
}

/// `GET /api/datasources`.
pub async fn data_sources() -> Answer<Vec<DataSource>> {
    get("/api/datasources", None).await
}

/// `POST /api/markdown`: the text as HTML, not yet safe to show.
pub async fn markdown(text: &str) -> Answer<String> {
    let rendered: RenderedMarkdown = post("/api/markdown", &MarkdownSource { text: text.to_owned() }).await?;
    Ok(rendered.html)
}

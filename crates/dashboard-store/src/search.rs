//! What to look for in the list of dashboards.

use crate::summary::Summary;

/// All conditions must hold.
#[derive(Clone, Debug, Default)]
pub struct SearchQuery {
    /// Words, each of which must stand in the title, a tag, the folder or a panel's title; case does not count.
    pub text: String,
    pub tags: Vec<String>,
    pub folder_uids: Vec<String>,
    /// At most so many hits; 0 for all.
    pub limit: usize,
}

impl SearchQuery {
    pub(crate) fn accepts(&self, summary: &Summary, folder_uid: &str) -> bool {
        let haystack = summary.haystack.as_str();
        self.text.to_lowercase().split_whitespace().all(|word| haystack.contains(word))
            && self.tags.iter().all(|tag| summary.tags.contains(tag))
            && (self.folder_uids.is_empty() || self.folder_uids.iter().any(|uid| uid == folder_uid))
    }
}

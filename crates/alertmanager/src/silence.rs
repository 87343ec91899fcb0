//! Silences: made, replaced, expired, kept on disk.

use crate::{files, matchers::compile};
use api::alerts::{GettableSilence, PostableSilence, SilenceMatcher, SilenceStatus};
use go_template::time::Time;
use model::{Labels, MatchOp, Matcher};
use regexp::LabelMatcher;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A silence on disk and in memory. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Silence {
    pub(crate) id: String,
    pub(crate) matchers: Vec<SilenceMatcher>,
    pub(crate) starts_at_ms: i64,
    pub(crate) ends_at_ms: i64,
    pub(crate) updated_at_ms: i64,
    pub(crate) created_by: String,
    pub(crate) comment: String,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SilenceState {
    Active,
    Pending,
    Expired,
}

impl SilenceState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            SilenceState::Active => "active",
            SilenceState::Pending => "pending",
            SilenceState::Expired => "expired",
        }
    }
}

impl Silence {
    pub(crate) fn state(&self, now_ms: i64) -> SilenceState {
        if now_ms < self.starts_at_ms {
            SilenceState::Pending
        } else if now_ms >= self.ends_at_ms {
            SilenceState::Expired
        } else {
            SilenceState::Active
        }
    }

    pub(crate) fn to_api(&self, now_ms: i64) -> GettableSilence {
        GettableSilence {
            id: self.id.clone(),
            status: SilenceStatus { state: self.state(now_ms).as_str().into() },
            updated_at: api_time(self.updated_at_ms),
            comment: self.comment.clone(),
            created_by: self.created_by.clone(),
            ends_at: api_time(self.ends_at_ms),
            matchers: self.matchers.clone(),
            starts_at: api_time(self.starts_at_ms),
            annotations: self.annotations.clone(),
        }
    }
}

/// Times as API v2 writes them: always three decimals.
pub(crate) fn api_time(ms: i64) -> String {
    Time::from_unix_ms(ms).format("2006-01-02T15:04:05.000Z07:00")
}

/// Why a silence is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SilenceError {
    #[error("silence not found")]
    NotFound,
    #[error("{0}")]
    Invalid(String),
    #[error("silences cannot be written: {0}")]
    Io(#[from] io::Error),
}

struct Kept {
    silence: Silence,
    compiled: Vec<LabelMatcher>,
}

/// All silences.
pub(crate) struct Silences {
    kept: Mutex<BTreeMap<String, Kept>>,
    file: Option<PathBuf>,
    retention_ms: i64,
}

impl Silences {
    /// Reads the file, if there is a folder and a file in it.
    pub(crate) fn open(folder: Option<&Path>, retention_ms: i64) -> io::Result<Silences> {
        let file = folder.map(|folder| folder.join("silences.json"));
        let mut kept = BTreeMap::new();
        let read: Vec<Silence> = match &file {
            Some(file) => files::read_lines(file)?,
            None => Vec::new(),
        };
        for silence in read {
            if let Ok(compiled) = compile_all(&silence.matchers) {
                kept.insert(silence.id.clone(), Kept { silence, compiled });
            }
        }
        Ok(Silences { kept: Mutex::new(kept), file, retention_ms })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, kept: &BTreeMap<String, Kept>) -> io::Result<()> {
        match &self.file {
            Some(file) => files::write_lines(file, kept.values().map(|kept| &kept.silence)),
            None => Ok(()),
        }
    }

    /// Creates a silence, or replaces the one with its id: in place where only the end changes, else the old one
    /// expires and a new one begins.
    pub(crate) fn set(&self, posted: &PostableSilence, now_ms: i64) -> Result<Silence, SilenceError> {
        let time = |text: &str, name: &str| {
            text.parse::<jiff::Timestamp>()
                .map(jiff::Timestamp::as_millisecond)
                .map_err(|_| SilenceError::Invalid(format!("{name} {text:?} is no time; write RFC 3339")))
        };
        let mut silence = Silence {
            id: String::new(),
            matchers: posted.matchers.clone(),
            starts_at_ms: time(&posted.starts_at, "startsAt")?,
            ends_at_ms: time(&posted.ends_at, "endsAt")?,
            updated_at_ms: now_ms,
            created_by: posted.created_by.clone(),
            comment: posted.comment.clone(),
            annotations: posted.annotations.clone(),
        };
        if silence.starts_at_ms >= silence.ends_at_ms {
            return Err(SilenceError::Invalid("failed to create silence: start time must be before end time".into()));
        }
        if silence.ends_at_ms < now_ms {
            return Err(SilenceError::Invalid("failed to create silence: end time can't be in the past".into()));
        }
        let compiled =
            check(&silence.matchers).map_err(|reason| SilenceError::Invalid(format!("invalid silence: {reason}")))?;
        let mut kept = self.lock();
        let previous = match posted.id.as_deref().filter(|id| !id.is_empty()) {
            Some(id) => Some(kept.get(id).ok_or(SilenceError::NotFound)?.silence.clone()),
            None => None,
        };
        let mut undo = Vec::new();
        match previous {
            Some(previous) if can_update(&previous, &silence, now_ms) => {
                silence.id.clone_from(&previous.id);
                undo.push((previous.id.clone(), Some(previous)));
            }
            previous => {
                if let Some(previous) = previous.filter(|previous| previous.state(now_ms) != SilenceState::Expired) {
                    undo.push((previous.id.clone(), Some(previous.clone())));
                    if let Some(own) = kept.get_mut(&previous.id) {
                        expire(&mut own.silence, now_ms);
                    }
                }
                silence.starts_at_ms = silence.starts_at_ms.max(now_ms);
                silence.id = uuid::Uuid::new_v4().to_string();
                undo.push((silence.id.clone(), None));
            }
        }
        kept.insert(silence.id.clone(), Kept { silence: silence.clone(), compiled });
        if let Err(error) = self.save(&kept) {
            // What is not on disk is not promised.
            for (id, silence) in undo {
                match silence.and_then(|silence| Some((compile_all(&silence.matchers).ok()?, silence))) {
                    Some((compiled, silence)) => kept.insert(id, Kept { silence, compiled }),
                    None => kept.remove(&id),
                };
            }
            return Err(error.into());
        }
        Ok(silence)
    }

    /// Expires a silence; one that is expired stays so.
    pub(crate) fn expire(&self, id: &str, now_ms: i64) -> Result<Silence, SilenceError> {
        let mut kept = self.lock();
        let own = kept.get_mut(id).ok_or(SilenceError::NotFound)?;
        if own.silence.state(now_ms) == SilenceState::Expired {
            return Ok(own.silence.clone());
        }
        let before = own.silence.clone();
        expire(&mut own.silence, now_ms);
        let silence = own.silence.clone();
        if let Err(error) = self.save(&kept) {
            if let Some(own) = kept.get_mut(id) {
                own.silence = before;
            }
            return Err(error.into());
        }
        Ok(silence)
    }

    pub(crate) fn get(&self, id: &str) -> Option<Silence> {
        self.lock().get(id).map(|kept| kept.silence.clone())
    }

    /// All: active ones that end first, then pending ones that start first, then expired ones that ended last.
    pub(crate) fn list(&self, now_ms: i64) -> Vec<Silence> {
        let mut silences: Vec<_> = self.lock().values().map(|kept| kept.silence.clone()).collect();
        silences.sort_by_key(|silence| match silence.state(now_ms) {
            SilenceState::Active => (0, silence.ends_at_ms),
            SilenceState::Pending => (1, silence.starts_at_ms),
            SilenceState::Expired => (2, silence.ends_at_ms.saturating_neg()),
        });
        silences
    }

    /// Ids of the active silences that match, sorted.
    pub(crate) fn silenced_by(&self, labels: &Labels, now_ms: i64) -> Vec<String> {
        let kept = self.lock();
        kept.values()
            .filter(|kept| kept.silence.state(now_ms) == SilenceState::Active)
            .filter(|kept| kept.compiled.iter().all(|matcher| matcher.matches_labels(labels)))
            .map(|kept| kept.silence.id.clone())
            .collect()
    }

    /// Forgets what expired longer ago than the retention.
    pub(crate) fn collect_garbage(&self, now_ms: i64) -> io::Result<()> {
        let mut kept = self.lock();
        let before = kept.len();
        kept.retain(|_, kept| kept.silence.ends_at_ms.saturating_add(self.retention_ms) > now_ms);
        if kept.len() == before { Ok(()) } else { self.save(&kept) }
    }

    /// Number of silences by state.
    pub(crate) fn counts(&self, now_ms: i64) -> [(&'static str, usize); 3] {
        let kept = self.lock();
        [SilenceState::Active, SilenceState::Pending, SilenceState::Expired]
            .map(|state| (state.as_str(), kept.values().filter(|kept| kept.silence.state(now_ms) == state).count()))
    }
}

fn expire(silence: &mut Silence, now_ms: i64) {
    // A silence that never began ends where it would have begun: now.
    silence.starts_at_ms = silence.starts_at_ms.min(now_ms);
    silence.ends_at_ms = now_ms;
    silence.updated_at_ms = now_ms;
}

fn can_update(old: &Silence, new: &Silence, now_ms: i64) -> bool {
    if old.matchers != new.matchers {
        return false;
    }
    match old.state(now_ms) {
        SilenceState::Active => old.starts_at_ms == new.starts_at_ms && new.ends_at_ms >= now_ms,
        SilenceState::Pending => new.starts_at_ms >= now_ms,
        SilenceState::Expired => false,
    }
}

pub(crate) fn to_matcher(matcher: &SilenceMatcher) -> Matcher {
    let op = match (matcher.is_equal, matcher.is_regex) {
        (true, false) => MatchOp::Equal,
        (false, false) => MatchOp::NotEqual,
        (true, true) => MatchOp::Regex,
        (false, true) => MatchOp::NotRegex,
    };
    Matcher::new(matcher.name.clone(), op, matcher.value.clone())
}

fn compile_all(matchers: &[SilenceMatcher]) -> Result<Vec<LabelMatcher>, String> {
    matchers.iter().map(|matcher| compile(&to_matcher(matcher))).collect()
}

fn check(matchers: &[SilenceMatcher]) -> Result<Vec<LabelMatcher>, String> {
    if matchers.is_empty() {
        return Err("at least one matcher required".into());
    }
    for (i, matcher) in matchers.iter().enumerate() {
        if matcher.name.is_empty() {
            return Err(format!("invalid label matcher {i}: invalid label name \"\""));
        }
    }
    let compiled = compile_all(matchers)?;
    if compiled.iter().all(|matcher| matcher.matches("")) {
        return Err("matcher set 0: at least one matcher must not match the empty string".into());
    }
    Ok(compiled)
}

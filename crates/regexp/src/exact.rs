//! What an anchored pattern accepts, where that can be said without running it: most matchers in practice are
//! `a|b|c`, `api-.*`, `.+`.

use regex_syntax::hir::{Class, Dot, Hir, HirKind, Look};
use std::collections::HashSet;

/// A pattern with more alternatives than this runs as a pattern.
const ALTERNATIVES_MAX: usize = 10_000;
/// Below this a list is searched as fast as a set.
const SET_MIN: usize = 12;

/// How a text is tested.
#[derive(Clone, Debug)]
pub(crate) enum Accepts {
    /// `.*`
    All,
    /// `.+`
    NonEmpty,
    /// Sorted, each once.
    OneOf { list: Vec<String>, set: HashSet<String> },
    /// `(a|b).*`; with `.+` more must follow.
    Prefix { prefixes: Vec<String>, more: bool },
    /// `.*(a|b)`
    Suffix { suffixes: Vec<String>, more: bool },
    /// `.*(a|b).*`
    Contains { parts: Vec<String> },
    /// Only the pattern itself can tell.
    Pattern,
}

impl Accepts {
    /// `hir` was read with `s`, and matches the whole text.
    pub(crate) fn of(hir: &Hir) -> Self {
        let mut parts: Vec<&Hir> = Vec::new();
        flatten(hir, &mut parts);
        // The whole is anchored: `^` in front and `$` at the end say nothing new.
        while matches!(parts.first().map(|part| part.kind()), Some(HirKind::Look(Look::Start))) {
            parts.remove(0);
        }
        while matches!(parts.last().map(|part| part.kind()), Some(HirKind::Look(Look::End))) {
            parts.pop();
        }
        let front = parts.first().and_then(|part| any_min(part));
        let back = if parts.len() > 1 { parts.last().and_then(|part| any_min(part)) } else { None };
        let inner = &parts[usize::from(front.is_some())..parts.len() - usize::from(back.is_some())];
        let Some(mut list) = product(inner) else { return Accepts::Pattern };
        list.sort_unstable();
        list.dedup();
        match (front, back) {
            (Some(min), None) if inner.is_empty() => {
                if min == 0 {
                    Accepts::All
                } else {
                    Accepts::NonEmpty
                }
            }
            (None, None) => {
                let set = if list.len() >= SET_MIN { list.iter().cloned().collect() } else { HashSet::new() };
                Accepts::OneOf { list, set }
            }
            _ if list.is_empty() || list.iter().any(String::is_empty) => Accepts::Pattern,
            (None, Some(min)) => Accepts::Prefix { prefixes: list, more: min > 0 },
            (Some(min), None) => Accepts::Suffix { suffixes: list, more: min > 0 },
            (Some(0), Some(0)) => Accepts::Contains { parts: list },
            _ => Accepts::Pattern,
        }
    }

    /// `None` where only the pattern can tell.
    pub(crate) fn test(&self, text: &str) -> Option<bool> {
        Some(match self {
            Accepts::All => true,
            Accepts::NonEmpty => !text.is_empty(),
            Accepts::OneOf { list, set } if set.is_empty() => list.iter().any(|own| own == text),
            Accepts::OneOf { set, .. } => set.contains(text),
            Accepts::Prefix { prefixes, more } => {
                prefixes.iter().any(|own| text.starts_with(own.as_str()) && (!more || text.len() > own.len()))
            }
            Accepts::Suffix { suffixes, more } => {
                suffixes.iter().any(|own| text.ends_with(own.as_str()) && (!more || text.len() > own.len()))
            }
            Accepts::Contains { parts } => parts.iter().any(|own| text.contains(own.as_str())),
            Accepts::Pattern => return None,
        })
    }
}

/// The parts of nested concatenations and groups, in order.
fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(subs) => subs.iter().for_each(|sub| flatten(sub, parts)),
        HirKind::Capture(capture) => flatten(&capture.sub, parts),
        HirKind::Empty => {}
        _ => parts.push(hir),
    }
}

/// 0 for `.*`, 1 for `.+`, greedy or not.
fn any_min(hir: &Hir) -> Option<u32> {
    let HirKind::Repetition(repetition) = hir.kind() else { return None };
    let is_any = *repetition.sub == Hir::dot(Dot::AnyChar);
    (is_any && repetition.max.is_none() && repetition.min <= 1).then_some(repetition.min)
}

/// Every text that the parts accept one after the other.
fn product(parts: &[&Hir]) -> Option<Vec<String>> {
    let mut texts = vec![String::new()];
    for part in parts {
        let next = alternatives(part)?;
        if texts.len().saturating_mul(next.len()) > ALTERNATIVES_MAX {
            return None;
        }
        texts = if let [only] = next.as_slice() {
            texts.iter_mut().for_each(|text| text.push_str(only));
            texts
        } else {
            texts.iter().flat_map(|text| next.iter().map(move |tail| format!("{text}{tail}"))).collect()
        };
    }
    Some(texts)
}

fn alternatives(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Empty => Some(vec![String::new()]),
        HirKind::Literal(literal) => Some(vec![String::from_utf8(literal.0.to_vec()).ok()?]),
        HirKind::Capture(capture) => alternatives(&capture.sub),
        HirKind::Concat(subs) => product(&subs.iter().collect::<Vec<_>>()),
        HirKind::Alternation(subs) => {
            let mut all = Vec::new();
            for sub in subs {
                all.extend(alternatives(sub)?);
                if all.len() > ALTERNATIVES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        HirKind::Class(Class::Unicode(class)) => {
            const CLASS_CHARS_MAX: usize = 64;
            let count: usize = class.ranges().iter().map(|range| range.len()).sum();
            let chars = || class.ranges().iter().flat_map(|range| range.start()..=range.end());
            (count <= CLASS_CHARS_MAX).then(|| chars().map(String::from).collect())
        }
        HirKind::Repetition(repetition) if repetition.min == 0 && repetition.max == Some(1) => {
            let mut all = alternatives(&repetition.sub)?;
            all.push(String::new());
            Some(all)
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

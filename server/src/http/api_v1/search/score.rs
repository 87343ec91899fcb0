//! How well a name fits a search term: 0 not at all, 1 best.
//! Source: the search API of Prometheus 3.14 (`fuzz_alg`).

/// Texts beyond this many characters are compared from the first place only: trying every place takes the square.
const CHARS_MAX: usize = 1024;
/// Weight of each common leading character in Winkler's form, and how many of them count.
const PREFIX_WEIGHT: f64 = 0.1;
const PREFIX_MAX: usize = 4;

/// How terms are compared with names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// The term's characters occur in order; runs count, gaps cost.
    #[default]
    Subsequence,
    /// The term occurs as it is, or the Jaro-Winkler similarity is at least the threshold.
    JaroWinkler,
}

impl Algorithm {
    pub(super) const NAMES: [(&'static str, Algorithm); 2] =
        [("subsequence", Algorithm::Subsequence), ("jarowinkler", Algorithm::JaroWinkler)];
}

/// The terms of one search; a name fits if it fits one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    pub(super) terms: Vec<String>,
    pub(super) algorithm: Algorithm,
    /// Least score that counts, 0 to 1.
    pub(super) threshold: f64,
    pub(super) case_sensitive: bool,
}

impl Terms {
    /// The score of a name, or `None` if no term fits. Without terms everything fits.
    pub(super) fn score(&self, name: &str) -> Option<f64> {
        if self.terms.is_empty() {
            return Some(1.0);
        }
        let lower;
        let name = if self.case_sensitive {
            name
        } else {
            lower = name.to_lowercase();
            &lower
        };
        self.terms.iter().filter_map(|term| self.score_term(term, name)).max_by(f64::total_cmp)
    }

    /// Terms are in lower case already if case does not count.
    fn score_term(&self, term: &str, name: &str) -> Option<f64> {
        if name.starts_with(term) {
            return Some(1.0);
        }
        let enough = |score: f64| (score >= self.threshold).then_some(score);
        match self.algorithm {
            Algorithm::Subsequence => enough(subsequence(term, name)).filter(|score| *score > 0.0),
            Algorithm::JaroWinkler if name.contains(term) => Some(0.9),
            // A threshold of 0 asks for no likeness at all: then only what contains the term fits.
            Algorithm::JaroWinkler if self.threshold > 0.0 => enough(jaro_winkler(term, name)),
            Algorithm::JaroWinkler => None,
        }
    }
}

/// 0 unless the characters of `pattern` occur in `text` in order. Every run of n matched characters next to each other
/// gives n², every gap costs its share of the text, what is left behind the last match half of that; the best start
/// counts, and a whole match is 1.
fn subsequence(pattern: &str, text: &str) -> f64 {
    if pattern.len() > text.len() {
        return 0.0;
    }
    if pattern.is_ascii() && text.is_ascii() {
        best_start(pattern.as_bytes(), text.as_bytes())
    } else {
        best_start(&pattern.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>())
    }
}

fn best_start<T: PartialEq>(pattern: &[T], text: &[T]) -> f64 {
    let Some(last_start) = text.len().checked_sub(pattern.len()) else { return 0.0 };
    let mut best: f64 = 0.0;
    for start in 0..=last_start {
        if text.get(start) != pattern.first() {
            continue;
        }
        // What cannot be completed from here cannot be from any later place.
        let Some(score) = runs(pattern, text, start) else { break };
        best = best.max(score);
        if text.len() > CHARS_MAX {
            break;
        }
    }
    best / (pattern.len() * pattern.len()) as f64
}

/// The raw score of the greedy match that begins at `start`.
fn runs<T: PartialEq>(pattern: &[T], text: &[T], start: usize) -> Option<f64> {
    let share = |chars: usize| chars as f64 / text.len() as f64;
    let (mut score, mut at, mut matched_end, mut wanted) = (0.0, start, 0, pattern);
    while !wanted.is_empty() {
        let run_start = at + text.get(at..)?.iter().position(|c| Some(c) == wanted.first())?;
        let run = text.get(run_start..)?.iter().zip(wanted).take_while(|(a, b)| a == b).count();
        score += (run * run) as f64 - share(run_start - matched_end);
        at = run_start + run;
        matched_end = at;
        wanted = wanted.get(run..)?;
    }
    Some(score - share(text.len() - matched_end) / 2.0)
}

/// Jaro's similarity, raised by a common start as Winkler does.
fn jaro_winkler(a: &str, b: &str) -> f64 {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    if short.is_empty() || long.len() > CHARS_MAX {
        return 0.0;
    }
    let reach = (long.len() / 2).saturating_sub(1);
    let mut taken = vec![false; long.len()];
    let mut matched = Vec::with_capacity(short.len());
    for (i, c) in short.iter().enumerate() {
        let window = i.saturating_sub(reach)..(i + reach + 1).min(long.len());
        let found = window.into_iter().find(|&j| !taken[j] && long[j] == *c);
        if let Some(j) = found {
            taken[j] = true;
            matched.push(*c);
        }
    }
    if matched.is_empty() {
        return 0.0;
    }
    let in_order = long.iter().zip(&taken).filter(|(_, taken)| **taken).map(|(c, _)| c);
    let out_of_place = matched.iter().zip(in_order).filter(|(a, b)| a != b).count() as f64;
    let count = matched.len() as f64;
    let jaro = (count / short.len() as f64 + count / long.len() as f64 + (count - out_of_place / 2.0) / count) / 3.0;
    let prefix = short.iter().zip(long).take(PREFIX_MAX).take_while(|(a, b)| a == b).count() as f64;
    jaro + prefix * PREFIX_WEIGHT * (1.0 - jaro)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(terms: &[&str], algorithm: Algorithm, threshold: f64) -> Terms {
        Terms { terms: terms.iter().map(ToString::to_string).collect(), algorithm, threshold, case_sensitive: true }
    }

    #[test]
    fn subsequences() {
        // Runs of 2 and 1 of 3, a gap of 1 and 1 behind, of 5: (4 + 1 - 1/5 - 1/10) / 9.
        assert!((subsequence("abd", "abcde") - 4.7 / 9.0).abs() < 1e-12);
        // The second start is better: "ab" together at the end.
        assert!((subsequence("ab", "a_ab") - (4.0 - 2.0 / 4.0) / 4.0).abs() < 1e-12);
        assert_eq!(subsequence("ba", "ab"), 0.0);
        assert_eq!(subsequence("abc", "ab"), 0.0);
        assert!((subsequence("é", "xé") - 0.5).abs() < 1e-12);
        let fit = terms(&["nodecpu"], Algorithm::Subsequence, 0.0);
        assert!(fit.score("node_cpu_seconds_total") > fit.score("node_xx_c_p_u"));
        assert_eq!(fit.score("go_goroutines"), None);
        assert_eq!(terms(&["node"], Algorithm::Subsequence, 1.0).score("node_load1"), Some(1.0));
    }

    #[test]
    fn jaro_winkler_has_the_textbook_values() {
        for (a, b, expected) in [
            ("MARTHA", "MARHTA", 0.961_111),
            ("DIXON", "DICKSONX", 0.813_333),
            ("DWAYNE", "DUANE", 0.84),
            ("abc", "xyz", 0.0),
        ] {
            assert!((jaro_winkler(a, b) - expected).abs() < 1e-5, "{a} {b}: {}", jaro_winkler(a, b));
        }
        let fit = terms(&["load"], Algorithm::JaroWinkler, 0.8);
        assert_eq!(fit.score("node_load1"), Some(0.9));
        assert!(fit.score("laod").is_some_and(|score| score < 1.0));
        assert_eq!(terms(&["load"], Algorithm::JaroWinkler, 0.0).score("laod"), None);
    }

    #[test]
    fn the_best_term_counts_and_none_fits_all() {
        let fit = terms(&["zzz", "up"], Algorithm::Subsequence, 0.0);
        assert_eq!(fit.score("up"), Some(1.0));
        assert_eq!(fit.score("down"), None);
        assert_eq!(Terms::default().score("anything"), Some(1.0));
    }
}

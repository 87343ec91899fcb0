//! Which known word a misspelt one was meant to be.

/// Words longer than this are not compared: nobody misspells a whole paragraph.
const WORD_CHARS_MAX: usize = 64;

/// The known word that is fewest edits away, if it is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word: Vec<char> = word.chars().take(WORD_CHARS_MAX + 1).collect();
    if word.len() > WORD_CHARS_MAX {
        return None;
    }
    // A third of the letters may be wrong; of a short word at least one.
    let edits_max = (word.len() / 3).max(1);
    known
        .iter()
        .map(|known| (edits(&word, &known.chars().collect::<Vec<_>>()), *known))
        .filter(|(edits, _)| *edits <= edits_max)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, known)| known)
}

/// Inserted, removed, replaced and swapped neighbouring letters (optimal string alignment).
fn edits(a: &[char], b: &[char]) -> usize {
    let (mut before_last, mut last): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

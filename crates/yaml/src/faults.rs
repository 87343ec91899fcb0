//! The loop that finds all faults: read, note the first fault, cut the node it is at out of the tree, read again.

use crate::{
    Fault, UnknownFields,
    error::{Inner, Step, What, remedy},
    nearest::nearest,
    reader::Pass,
    tree::{self, Kind, NodeId, Tree, join_key},
};
use serde::de::DeserializeOwned;

/// Each fault costs a pass over the document; who made more mends these first.
const FAULTS_MAX: usize = 100;

pub(crate) fn read<T: DeserializeOwned>(text: &str, unknown: UnknownFields) -> Result<(T, Tree), Vec<Fault>> {
    let (mut tree, mut faults) = tree::parse(text).map_err(|fault| vec![fault])?;
    loop {
        let error = match Pass::new(&tree, unknown).read::<T>() {
            Ok(value) if faults.is_empty() => return Ok((value, tree)),
            Ok(_) => return Err(faults),
            Err(error) => *error.0,
        };
        let blamed = error.node.unwrap_or(tree.root);
        if let Some(node) = wanted_null(&tree, &error, blamed) {
            tree.nodes[node].null_wanted = true;
            continue;
        }
        if !is_consequence(&tree, &error, blamed) {
            faults.push(fault(&tree, &error, blamed));
        }
        note_what_was_meant(&mut tree, &error);
        let was_cut = std::mem::replace(&mut tree.nodes[blamed].cut, true);
        for (container, _) in &error.steps {
            tree.nodes[*container].tainted = true;
        }
        // A node that is blamed although it was cut: nothing more would be learnt.
        let finished = was_cut || blamed == tree.root || matches!(error.what, What::Fatal(_));
        if finished || faults.len() >= FAULTS_MAX {
            return Err(faults);
        }
    }
}

/// The value of a field that is written without one and has no default.
fn wanted_null(tree: &Tree, error: &Inner, blamed: NodeId) -> Option<NodeId> {
    let (What::MissingField(field), Kind::Map { entries, .. }) = (&error.what, &tree.nodes[blamed].kind) else {
        return None;
    };
    let entry = entries.iter().find(|entry| tree.text(entry.key) == *field)?;
    let value = &tree.nodes[entry.value];
    (tree.is_null(entry.value) && !value.null_wanted && !value.cut).then_some(entry.value)
}

/// True for what an earlier fault brings about: the field that was cut is missing, the check of a whole whose
/// part was cut fails.
fn is_consequence(tree: &Tree, error: &Inner, blamed: NodeId) -> bool {
    match (&error.what, &tree.nodes[blamed].kind) {
        (What::MissingField(field), Kind::Map { entries, meant }) => {
            meant.iter().any(|meant| meant == field)
                || entries.iter().any(|entry| tree.text(entry.key) == *field && tree.nodes[entry.value].cut)
        }
        (What::Message(_), _) => tree.nodes[blamed].tainted,
        _ => false,
    }
}

fn note_what_was_meant(tree: &mut Tree, error: &Inner) {
    if let (What::UnknownField { field, known }, Some((map, _))) = (&error.what, error.steps.first())
        && let Some(nearest) = nearest(field, known)
        && let Kind::Map { meant, .. } = &mut tree.nodes[*map].kind
    {
        meant.push(nearest.to_owned());
    }
}

fn fault(tree: &Tree, error: &Inner, blamed: NodeId) -> Fault {
    let mut path = String::new();
    for (_, step) in error.steps.iter().rev() {
        match step {
            Step::Key(key) | Step::Value(key) => path = join_key(&path, tree.text(*key)),
            Step::Index(index) => path = format!("{path}[{index}]"),
        }
    }
    let key = match error.steps.first() {
        Some((_, Step::Value(key) | Step::Key(key))) => Some(*key),
        _ => None,
    };
    let (line, column) = tree.place(blamed, key);
    let message = match &error.what {
        What::Message(message) | What::Fatal(message) => message.clone(),
        What::MissingField(field) => format!("missing field `{field}`; add `{field}: …` here"),
        What::UnknownField { field, known } => format!("unknown field `{field}`{}", remedy(field, known)),
    };
    Fault { line, column, path, message }
}

//! The document as nodes with places. An alias is the node of its anchor itself, so that a shared node is
//! kept, and found faulty, once.

use crate::{Fault, scalar};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::collections::HashMap;

/// Configuration is written by people; generated rule files of some megabytes are the largest seen.
const DOCUMENT_BYTES_MAX: usize = 64 << 20;
/// Deeper nesting than any configuration needs, and little enough for the stack of a recursive reader.
const DEPTH_MAX: usize = 128;
/// Entries that `<<` may copy in one document.
const MERGED_ENTRIES_MAX: usize = 1 << 20;
/// Beyond this many keys a map is checked for repeated ones by hashing.
const LINEAR_KEYS_MAX: usize = 12;

pub(crate) type NodeId = usize;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
    /// A fault was found here: readers pass over it.
    pub(crate) cut: bool,
    /// Something below was cut: what is said about the whole afterwards may only be a consequence.
    pub(crate) tainted: bool,
    /// A null that a struct has to read, since the field has no default.
    pub(crate) null_wanted: bool,
}

#[derive(Debug)]
pub(crate) enum Kind {
    /// `binary`: tagged `!!binary`, the text is base64.
    Scalar {
        text: String,
        plain: bool,
        binary: bool,
    },
    List(Vec<NodeId>),
    Map {
        entries: Vec<Entry>,
        meant: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) key: NodeId,
    pub(crate) value: NodeId,
}

#[derive(Debug, Default)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
}

impl Tree {
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        matches!(&self.nodes[id].kind, Kind::Scalar { text, plain: true, .. } if scalar::is_null(text))
    }

    /// The text of a scalar; "" for others.
    pub(crate) fn text(&self, id: NodeId) -> &str {
        match &self.nodes[id].kind {
            Kind::Scalar { text, .. } => text,
            _ => "",
        }
    }

    /// Where a reader of a message should look: the value if it stands on one line, else its key.
    pub(crate) fn place(&self, value: NodeId, key: Option<NodeId>) -> (usize, usize) {
        let is_word = matches!(&self.nodes[value].kind, Kind::Scalar { text, .. } if !text.is_empty());
        let shown = &self.nodes[if is_word { value } else { key.unwrap_or(value) }];
        (shown.line, shown.column)
    }

    /// The place of the node at `path`, or of its nearest parent that exists.
    pub(crate) fn find(&self, path: &str) -> Option<(usize, usize)> {
        let (mut node, mut rest) = (self.root, path);
        let mut place = self.nodes.get(node).map(|node| (node.line, node.column))?;
        while !rest.is_empty() {
            let (next, key, tail) = match &self.nodes[node].kind {
                Kind::Scalar { .. } => break,
                Kind::List(items) => {
                    let Some((index, tail)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
                        break;
                    };
                    let Some(item) = index.parse().ok().and_then(|index: usize| items.get(index)) else { break };
                    (*item, None, tail)
                }
                Kind::Map { entries, .. } => {
                    let rest = rest.strip_prefix('.').unwrap_or(rest);
                    // The longest key that fits: keys may hold dots themselves.
                    let fitting = entries.iter().filter_map(|entry| {
                        let tail = rest.strip_prefix(self.text(entry.key))?;
                        (tail.is_empty() || tail.starts_with(['.', '['])).then_some((entry, tail))
                    });
                    let Some((entry, tail)) = fitting.min_by_key(|(_, tail)| tail.len()) else { break };
                    (entry.value, Some(entry.key), tail)
                }
            };
            place = self.place(next, key);
            (node, rest) = (next, tail);
        }
        Some(place)
    }

    fn add(&mut self, kind: Kind, at: Marker) -> NodeId {
        self.nodes.push(Node {
            kind,
            line: at.line(),
            column: at.col() + 1,
            cut: false,
            tainted: false,
            null_wanted: false,
        });
        self.nodes.len() - 1
    }
}

/// A list or map that is still being read.
struct Open {
    node: NodeId,
    /// The key whose value comes next; only in a map.
    key: Option<NodeId>,
    entries: Vec<Entry>,
    items: Vec<NodeId>,
    merges: Vec<Entry>,
    is_map: bool,
}

/// Reads the first document of `text`. Faults of keys (repeated, not a word) are returned beside the tree; they
/// don't hinder the reading of the rest.
///
/// # Errors
/// A fault of syntax or a limit passed: nothing behind it can be read.
pub(crate) fn parse(text: &str) -> Result<(Tree, Vec<Fault>), Fault> {
    if text.len() > DOCUMENT_BYTES_MAX {
        let message = format!("the file has {} bytes, at most {DOCUMENT_BYTES_MAX} are read; split it", text.len());
        return Err(Fault { line: 0, column: 0, path: String::new(), message });
    }
    // A byte order mark is no content.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder =
        Builder { tree: Tree::default(), open: Vec::new(), anchors: HashMap::new(), faults: Vec::new(), merged: 0 };
    let mut root = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let (at, info) = (error.marker(), error.info());
            Fault {
                line: at.line(),
                column: at.col() + 1,
                path: builder.path(),
                message: syntax_message(info, text, at.line()),
            }
        })?;
        if let Some(done) = builder.event(event, span.start)? {
            root = Some(done);
            // The readers of this field take the first document and pass over others.
            break;
        }
    }
    let root = match root {
        Some(root) => root,
        None => {
            builder.tree.add(Kind::Scalar { text: String::new(), plain: true, binary: false }, Marker::new(0, 1, 0))
        }
    };
    builder.tree.root = root;
    Ok((builder.tree, builder.faults))
}

/// The parser's words, and a remedy for what people do most.
fn syntax_message(info: &str, text: &str, line: usize) -> String {
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let indent = &shown[..shown.len() - shown.trim_start().len()];
    let remedy = if indent.contains('\t') {
        "; indent with spaces"
    } else if info.contains("unknown anchor") {
        "; add `&name` to the value that is meant, above this line"
    } else if info.contains("mapping values") {
        "; text that contains `: ` needs quotes, and keys of one map the same indentation"
    } else if info.contains("quoted") {
        "; close the quotes"
    } else if info.contains("recursion") {
        "; flatten the nesting"
    } else if info.contains("unexpected character") {
        "; text that begins with it needs quotes"
    } else if info.contains("flow") || info.contains("':'") {
        "; close the bracket before, or quote text that begins with `[` or `{`"
    } else if info.contains("block") || info.contains("indent") {
        "; see that keys of one map have the same indentation"
    } else {
        ""
    };
    format!("not YAML: {info}{remedy}")
}

struct Builder {
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    faults: Vec<Fault>,
    merged: usize,
}

impl Builder {
    /// Takes an event; gives the root when the document is complete.
    fn event(&mut self, event: Event<'_>, at: Marker) -> Result<Option<NodeId>, Fault> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = match tag.as_deref() {
                    None => style == ScalarStyle::Plain,
                    Some(tag) => is_typed(tag),
                };
                let binary = tag.as_deref().is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "binary");
                let node = self.tree.add(Kind::Scalar { text: text.into_owned(), plain, binary }, at);
                self.remember(anchor, node);
                self.value(node)
            }
            Event::SequenceStart(anchor, _) => self.start(anchor, Kind::List(Vec::new()), at),
            Event::MappingStart(anchor, _) => {
                self.start(anchor, Kind::Map { entries: Vec::new(), meant: Vec::new() }, at)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(None) };
                let node = open.node;
                if open.is_map {
                    self.finish_map(open)?;
                } else {
                    self.tree.nodes[node].kind = Kind::List(open.items);
                }
                self.value(node)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(&node) if self.open.iter().any(|open| open.node == node) => {
                    Err(self.fault(at, "the anchor contains itself through this alias; write the value out".into()))
                }
                Some(&node) => self.value(node),
                None => Err(self
                    .fault(at, "no anchor of this name stands above; add `&name` to the value that is meant".into())),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(None)
            }
        }
    }

    fn remember(&mut self, anchor: usize, node: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
    }

    fn start(&mut self, anchor: usize, kind: Kind, at: Marker) -> Result<Option<NodeId>, Fault> {
        if self.open.len() >= DEPTH_MAX {
            return Err(self.fault(at, format!("nested deeper than {DEPTH_MAX} levels; flatten it")));
        }
        let is_map = matches!(kind, Kind::Map { .. });
        let node = self.tree.add(kind, at);
        self.remember(anchor, node);
        self.open.push(Open { node, key: None, entries: Vec::new(), items: Vec::new(), merges: Vec::new(), is_map });
        Ok(None)
    }

    /// Puts a complete node where it belongs.
    fn value(&mut self, node: NodeId) -> Result<Option<NodeId>, Fault> {
        let Some(open) = self.open.last_mut() else { return Ok(Some(node)) };
        if !open.is_map {
            open.items.push(node);
        } else if let Some(key) = open.key.take() {
            let is_merge = matches!(&self.tree.nodes[key].kind, Kind::Scalar { text, plain: true, .. } if text == "<<");
            if is_merge {
                open.merges.push(Entry { key, value: node });
            } else {
                open.entries.push(Entry { key, value: node });
            }
        } else {
            open.key = Some(node);
        }
        Ok(None)
    }

    fn finish_map(&mut self, open: Open) -> Result<(), Fault> {
        let mut entries: Vec<Entry> = Vec::with_capacity(open.entries.len());
        let mut seen: HashMap<String, NodeId> = HashMap::new();
        let hashed = open.entries.len() > LINEAR_KEYS_MAX || !open.merges.is_empty();
        for entry in open.entries {
            if !matches!(self.tree.nodes[entry.key].kind, Kind::Scalar { .. }) {
                let fault = self.fault_at(
                    entry.key,
                    "a key must be a single word or text, not a list or map; quote text that begins with `[` or `{`"
                        .into(),
                );
                self.faults.push(fault);
                continue;
            }
            let key = self.tree.text(entry.key);
            let first = if hashed {
                let first = seen.get(key).copied();
                if first.is_none() {
                    seen.insert(key.to_owned(), entry.key);
                }
                first
            } else {
                entries.iter().find(|other| self.tree.text(other.key) == key).map(|other| other.key)
            };
            match first {
                None => entries.push(entry),
                Some(first) => {
                    let line = self.tree.nodes[first].line;
                    let message = format!("`{key}` is given twice, first in line {line}; remove one");
                    let mut fault = self.fault_at(entry.key, message);
                    fault.path = join_key(&fault.path, key);
                    self.faults.push(fault);
                }
            }
        }
        for merge in open.merges {
            let sources = match &self.tree.nodes[merge.value].kind {
                Kind::List(items) => items.clone(),
                _ => vec![merge.value],
            };
            for source in sources {
                let Kind::Map { entries: merged, .. } = &self.tree.nodes[source].kind else {
                    let message = "`<<` takes a map, an alias of one, or a list of such".to_owned();
                    let fault = self.fault_at(merge.key, message);
                    self.faults.push(fault);
                    continue;
                };
                self.merged += merged.len();
                if self.merged > MERGED_ENTRIES_MAX {
                    let message = format!("`<<` copies more than {MERGED_ENTRIES_MAX} entries; write fewer");
                    return Err(self.fault_at(merge.key, message));
                }
                // What is written in the map itself wins, then the earlier source.
                for entry in merged {
                    let key = self.tree.text(entry.key);
                    if !seen.contains_key(key) {
                        seen.insert(key.to_owned(), entry.key);
                        entries.push(*entry);
                    }
                }
            }
        }
        self.tree.nodes[open.node].kind = Kind::Map { entries, meant: Vec::new() };
        Ok(())
    }

    fn fault(&self, at: Marker, message: String) -> Fault {
        Fault { line: at.line(), column: at.col() + 1, path: self.path(), message }
    }

    fn fault_at(&self, node: NodeId, message: String) -> Fault {
        let node = &self.tree.nodes[node];
        Fault { line: node.line, column: node.column, path: self.path(), message }
    }

    /// Path of the node that is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for open in &self.open {
            if open.is_map {
                if let Some(key) = open.key {
                    path = join_key(&path, self.tree.text(key));
                }
            } else {
                path = format!("{path}[{}]", open.items.len());
            }
        }
        path
    }
}

/// `path.key`, without the dot at the start.
pub(crate) fn join_key(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// A tag of YAML's own types other than text leaves the type to the reader, as if the scalar were plain.
fn is_typed(tag: &Tag) -> bool {
    tag.is_yaml_core_schema() && !matches!(tag.suffix.as_str(), "str" | "binary")
}

//! Queries from bytes: each is refused, or read, printed, explained and evaluated within the limits.

use crate::{
    common::data,
    trial::{PIECES, engine, try_all},
};
use promql::Engine;
use promql_syntax::FUNCTIONS;
use std::cell::OnceCell;
use storage::memory::MemoryStorage;

thread_local! {
    static GROUND: OnceCell<(MemoryStorage, Engine)> = const { OnceCell::new() };
}

fn on_ground(check: impl FnOnce(&MemoryStorage, &Engine) -> Result<(), String>) {
    GROUND.with(|ground| {
        let (storage, engine) = ground.get_or_init(|| (data(), engine()));
        let outcome = check(storage, engine);
        assert_eq!(outcome, Ok(()));
    });
}

/// A query as it is.
pub(crate) fn text(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    on_ground(|storage, engine| try_all(storage, engine, &text));
}

/// A piece of a query for each byte.
pub(crate) fn pieces(data: &[u8]) {
    let word = |byte: &u8| {
        let index = usize::from(*byte);
        PIECES.get(index).copied().unwrap_or_else(|| FUNCTIONS[(index - PIECES.len()) % FUNCTIONS.len()].name)
    };
    let text = data.iter().map(word).collect::<Vec<_>>().join(" ");
    on_ground(|storage, engine| try_all(storage, engine, &text));
}

//! The tests are in `tests/`; `cargo xtask e2e` brings the peers and runs them.

//! Journeys through the pages: a real server, a real browser, and what a person would do with both.

#![allow(unreachable_pub, reason = "a program, no library: `pub` means used outside of its file")]

mod edit;
mod everywhere;
mod failures;
mod gallery;
mod goals;
mod import;
mod main_line;
mod operations;
mod panels;
mod sites;
mod time;

//! The simplest engine that keeps the promises of the traits, for tests and for `promqltest`: nothing is durable.

//! `alertmanager.yml`, read and checked.

use std::path::Path;

/// A checked configuration: every receiver exists, every matcher compiles.
#[derive(Clone, Debug)]
pub struct Config {
    original: String,
}

impl Config {
    /// Reads a configuration; file names inside it are relative to `file`'s folder.
    ///
    /// # Errors
    /// Everything that is wrong, with its place.
    pub fn parse(file: &str, text: &str) -> Result<Config, yaml::Faults> {
        let _ = (file, text);
        unimplemented!()
    }

    /// Reads a configuration from a file.
    ///
    /// # Errors
    /// As [`Config::parse`]; a file that cannot be read is a fault without a place.
    pub fn load(path: &Path) -> Result<Config, yaml::Faults> {
        let _ = path;
        unimplemented!()
    }

    /// The configuration of somebody who has none: one receiver named `default` that tells nobody.
    pub fn empty() -> Config {
        unimplemented!()
    }

    /// The text as it was read.
    pub fn original(&self) -> &str {
        &self.original
    }

    /// What loads but will not do what its author hopes, one sentence each, for example a receiver that cannot deliver yet.
    pub fn warnings(&self) -> Vec<String> {
        unimplemented!()
    }
}

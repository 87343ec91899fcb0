//! YAML for configuration files: all faults at once, each with its line and column

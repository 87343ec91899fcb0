//! The metrics of the machine itself, under node_exporter's names

//! relabel_configs: from labels to labels

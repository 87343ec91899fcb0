//! The storage engine: write-ahead log, head, blocks, retention

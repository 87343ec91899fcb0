//! What an engine promises: appending rows, selecting series; merge and fan-out

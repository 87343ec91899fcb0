//! Several engines as one: reads are merged.

//! Panel types: frames in, drawings out.

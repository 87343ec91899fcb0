//! Service discovery: where the targets are

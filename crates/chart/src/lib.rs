//! Charts drawn on any plotters backend: scene, axes, decimation

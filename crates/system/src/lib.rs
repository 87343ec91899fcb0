//! Clock and disk, real and simulated

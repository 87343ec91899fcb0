//! Exposition formats: text, OpenMetrics, protobuf, and the encoder

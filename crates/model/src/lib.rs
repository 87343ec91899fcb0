//! Words of the field: labels, matchers, samples, histograms, durations, alerts

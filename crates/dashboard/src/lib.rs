//! Grafana's dashboard model, variables, URL grammar, units, legend, transformations

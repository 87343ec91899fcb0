//! Evaluation of PromQL over anything queryable

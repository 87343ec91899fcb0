//! The script language of PromQL tests: load, eval, expect

//! `--enable-feature` of the commands that read expressions without a server.

use super::output::complain;
use crate::config::features::{Enabled, Remark};
use clap::Args;

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FeatureFlags {
    /// What may stand in expressions beside the stable language, as for the server: names divided by commas.
    #[arg(long, value_name = "NAMES")]
    enable_feature: Vec<String>,
}

impl FeatureFlags {
    pub(crate) fn language(&self) -> promql_syntax::Features {
        self.enabled().language
    }

    /// What is switched on. Remarks on names that nobody knows, as promtool does.
    pub(crate) fn enabled(&self) -> Enabled {
        let (enabled, remarks) = Enabled::read(&self.enable_feature);
        for remark in remarks {
            if let Remark::Unknown(name) = remark {
                complain(&format!("  WARNING: --enable-feature={name} is not known"));
            }
        }
        enabled
    }
}

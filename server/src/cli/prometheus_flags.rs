//! The flags of Prometheus that have nothing to set here: they are taken, so that a service file works as it is, and told
//! at start. Source of the names: `cmd/prometheus/main.go` of Prometheus 3.5 and 3.14.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `--name`, `--no-name`, `--name=true`.
    Switch,
    Value,
}

/// Name, what it takes, and what is so instead.
const UNUSED: &[(&str, Kind, &str)] = &[
    ("agent", Kind::Switch, "the server keeps and answers what it scrapes; remote_write sends it on as an agent would"),
    ("auto-gomaxprocs", Kind::Switch, "threads follow the cores of the machine"),
    ("auto-gomemlimit", Kind::Switch, "memory is given back without a collector"),
    ("auto-gomemlimit.ratio", Kind::Value, "memory is given back without a collector"),
    ("rules.max-concurrent-evals", Kind::Value, "groups run side by side, the rules of a group one after the other"),
    (
        "scrape.adjust-timestamps",
        Kind::Switch,
        "a sample has the time at which its scrape was due, if it is close to it",
    ),
    ("scrape.discovery-reload-interval", Kind::Value, "what was discovered is taken over at once"),
    (
        "scrape.timestamp-tolerance",
        Kind::Value,
        "a sample has the time at which its scrape was due, if it is close to it",
    ),
    ("storage.agent.no-lockfile", Kind::Switch, "there is no agent mode; see --storage.tsdb.path"),
    ("storage.agent.path", Kind::Value, "there is no agent mode; see --storage.tsdb.path"),
    ("storage.agent.retention.max-time", Kind::Value, "there is no agent mode; see --storage.tsdb.retention.time"),
    ("storage.agent.retention.min-time", Kind::Value, "there is no agent mode; see --storage.tsdb.retention.time"),
    ("storage.agent.wal-compression", Kind::Switch, "there is no agent mode"),
    ("storage.agent.wal-compression-type", Kind::Value, "there is no agent mode"),
    ("storage.agent.wal-segment-size", Kind::Value, "there is no agent mode"),
    ("storage.agent.wal-truncate-frequency", Kind::Value, "there is no agent mode"),
    ("storage.remote.read-concurrent-limit", Kind::Value, "remote reads have places among --query.max-concurrency"),
    ("storage.remote.read-max-bytes-in-frame", Kind::Value, "an answer to remote read is sent whole"),
    ("storage.tsdb.allow-overlapping-blocks", Kind::Switch, "blocks may overlap"),
    ("storage.tsdb.allow-overlapping-compaction", Kind::Switch, "blocks that overlap are joined"),
    ("storage.tsdb.delayed-compaction.max-percent", Kind::Value, "compaction is not delayed"),
    ("storage.tsdb.head-chunks-write-queue-size", Kind::Value, "the head is in memory and in the log"),
    ("storage.tsdb.max-block-chunk-segment-size", Kind::Value, "blocks have a form of their own"),
    ("storage.tsdb.max-block-duration", Kind::Value, "blocks grow to a tenth of the retention"),
    ("storage.tsdb.min-block-duration", Kind::Value, "the first blocks are of two hours"),
    ("storage.tsdb.no-lockfile", Kind::Switch, "the folder is locked while a server uses it"),
    ("storage.tsdb.samples-per-chunk", Kind::Value, "chunks have a form of their own"),
    ("storage.tsdb.wal-compression", Kind::Switch, "the log is compressed"),
    ("storage.tsdb.wal-compression-type", Kind::Value, "the log is compressed with zstd"),
    ("storage.tsdb.wal-segment-size", Kind::Value, "a segment of the log ends where a block does"),
    ("web.console.libraries", Kind::Value, "there are no console templates; dashboards are in --dashboards.path"),
    ("web.console.templates", Kind::Value, "there are no console templates; dashboards are in --dashboards.path"),
    ("web.local-assets", Kind::Value, "the pages are inside the program"),
    ("web.page-title", Kind::Value, "pages are named after what they show"),
    ("web.remote-write-receiver.accepted-protobuf-messages", Kind::Value, "both versions of remote write are taken"),
    ("web.user-assets", Kind::Value, "there are no console templates"),
];

/// Those that were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnusedFlags(Vec<&'static str>);

impl UnusedFlags {
    /// A line for each that was given.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> + '_ {
        UNUSED
            .iter()
            .filter(|(name, ..)| self.0.contains(name))
            .map(|(name, _, instead)| format!("--{name} sets nothing here: {instead}"))
    }
}

fn arg((name, kind, _): &(&'static str, Kind, &'static str)) -> Arg {
    let arg = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
    match kind {
        Kind::Value => arg.num_args(1),
        Kind::Switch => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
    }
}

impl Args for UnusedFlags {
    fn augment_args(command: Command) -> Command {
        command.args(UNUSED.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for UnusedFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Ok(UnusedFlags(UNUSED.iter().map(|(name, ..)| *name).filter(|name| matches.contains_id(name)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Switches that may be written `--no-name`, as Go's parser takes them.
const SWITCHES: [&str; 5] = [
    "alertmanager.drain-notification-queue-on-shutdown",
    "config.auto-reload",
    "web.enable-admin-api",
    "web.enable-lifecycle",
    "web.enable-remote-write-receiver",
];

/// `--no-name` of a switch as `--name=false`.
pub(crate) fn without_no(arg: &str) -> Option<String> {
    let name = arg.strip_prefix("--no-")?;
    let is_unused = UNUSED.iter().any(|(own, kind, _)| *own == name && *kind == Kind::Switch);
    (is_unused || SWITCHES.contains(&name)).then(|| format!("--{name}=false"))
}

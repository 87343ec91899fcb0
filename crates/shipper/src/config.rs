//! `object_storage`: where blocks go. The keys are those of Thanos' `--objstore.config`, so that its file can be used.

use crate::connect::Connector;
use http_client::{ConfigFault, HttpClient, HttpClientConfig, Secret};
use object_store::{
    ObjectStore, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, gcp::GoogleCloudStorageBuilder,
    local::LocalFileSystem,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

/// The section as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStorageConfig {
    /// `FILESYSTEM`, `S3`, `GCS` or `AZURE`.
    #[serde(rename = "type")]
    pub kind: String,
    pub config: Bucket,
    /// Folder within the bucket.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// `config`; which keys count depends on the type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bucket {
    /// FILESYSTEM: made if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// S3 and GCS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// S3: host, with a port perhaps; without it Amazon's. AZURE: domain of the storage, which the account's name comes before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// S3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// S3: without a key, what the environment (`AWS_…`) or the machine's role gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_token: Option<Secret>,
    /// S3: HTTP instead of HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// S3: `auto`, `virtual-hosted` or `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_lookup_type: Option<String>,
    /// GCS: content of the key file; without it, what the environment or the machine gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<Secret>,
    /// AZURE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_account_key: Option<Secret>,
    /// AZURE, in place of the two: `AccountName=…;AccountKey=…;BlobEndpoint=…`, as Azure's portal and its emulators show it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_connection_string: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// TLS, proxy, headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<HttpClientConfig>,
}

/// Keys of each type, those that must be there with `true`.
#[rustfmt::skip]
const KEYS: [(&str, &[(&str, bool)]); 4] = [
    ("FILESYSTEM", &[("directory", true)]),
    ("S3", &[("bucket", true), ("endpoint", false), ("region", false), ("access_key", false), ("secret_key", false),
             ("session_token", false), ("insecure", false), ("bucket_lookup_type", false), ("http_config", false)]),
    ("GCS", &[("bucket", true), ("service_account", false), ("http_config", false)]),
    ("AZURE", &[("storage_account", false), ("container", true), ("storage_account_key", false), ("endpoint", false),
                ("storage_connection_string", false), ("http_config", false)]),
];

impl Bucket {
    /// Which keys have a value.
    fn keys(&self) -> Vec<&'static str> {
        #[rustfmt::skip]
        let all = [
            ("directory", self.directory.is_some()), ("bucket", self.bucket.is_some()),
            ("endpoint", self.endpoint.is_some()), ("region", self.region.is_some()),
            ("access_key", self.access_key.is_some()), ("secret_key", self.secret_key.is_some()),
            ("session_token", self.session_token.is_some()), ("insecure", self.insecure.is_some()),
            ("bucket_lookup_type", self.bucket_lookup_type.is_some()),
            ("service_account", self.service_account.is_some()),
            ("storage_account", self.storage_account.is_some()),
            ("storage_account_key", self.storage_account_key.is_some()), ("container", self.container.is_some()),
            ("storage_connection_string", self.storage_connection_string.is_some()),
            ("http_config", self.http_config.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
}

impl ObjectStorageConfig {
    /// What is wrong, with the place below the section.
    pub fn faults(&self) -> Vec<ConfigFault> {
        let Some((kind, keys)) = KEYS.iter().find(|(kind, _)| kind.eq_ignore_ascii_case(&self.kind)) else {
            let known = KEYS.map(|(kind, _)| kind).join(", ");
            return vec![ConfigFault::new("type", format!("{:?} is none of {known}", self.kind))];
        };
        let there = self.config.keys();
        let mut faults = Vec::new();
        for (name, _) in keys.iter().filter(|(name, must)| *must && !there.contains(name)) {
            faults.push(ConfigFault::new("config", format!("{kind} wants the key {name}")));
        }
        for name in there.into_iter().filter(|name| !keys.iter().any(|(own, _)| own == name)) {
            faults.push(ConfigFault::new(format!("config.{name}"), format!("{kind} has no such key")));
        }
        if *kind == "AZURE" {
            match self.config.storage_connection_string.as_ref().map(|text| Connection::parse(text.expose())) {
                None if self.config.storage_account.is_none() => {
                    faults.push(ConfigFault::new("config", "AZURE wants the key storage_account"));
                }
                Some(Err(fault)) => faults.push(ConfigFault::new("config.storage_connection_string", fault)),
                _ => {}
            }
        }
        if self.config.access_key.is_some() != self.config.secret_key.is_some() {
            faults.push(ConfigFault::new("config", "access_key and secret_key come together"));
        }
        let lookup = self.config.bucket_lookup_type.as_deref().unwrap_or("auto");
        if !["auto", "virtual-hosted", "path"].contains(&lookup) {
            let message = format!("{lookup:?} is none of auto, virtual-hosted, path");
            faults.push(ConfigFault::new("config.bucket_lookup_type", message));
        }
        if let Some(http) = &self.config.http_config {
            let below =
                |fault: ConfigFault| ConfigFault::new(format!("config.http_config.{}", fault.path), fault.message);
            faults.extend(http.faults().into_iter().map(below));
        }
        faults
    }

    /// Makes relative paths start from a folder.
    pub fn resolve_paths(&mut self, base: &std::path::Path) {
        if let Some(directory) = &mut self.config.directory {
            *directory = base.join(&directory);
        }
        if let Some(http) = &mut self.config.http_config {
            http.resolve_paths(base);
        }
    }

    /// The bucket.
    ///
    /// # Errors
    /// What is wrong with its configuration, in the library's words.
    pub(crate) fn open(&self) -> Result<Arc<dyn ObjectStore>, String> {
        let text = |error: object_store::Error| error.to_string();
        let bucket = &self.config;
        let plain = |value: &Option<String>| value.clone().unwrap_or_default();
        let connector = || -> Result<Connector, String> {
            let http = bucket.http_config.clone().unwrap_or_default();
            Ok(Connector(HttpClient::new(&http).map_err(|error| error.to_string())?))
        };
        match self.kind.to_ascii_uppercase().as_str() {
            "FILESYSTEM" => {
                let directory = bucket.directory.clone().unwrap_or_default();
                std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
                let store = LocalFileSystem::new_with_prefix(&directory).map_err(text)?;
                Ok(Arc::new(store.with_fsync(true)))
            }
            "S3" => {
                let mut builder = AmazonS3Builder::from_env()
                    .with_bucket_name(plain(&bucket.bucket))
                    .with_http_connector(connector()?);
                let insecure = bucket.insecure.unwrap_or(false);
                // Those who serve S3 on a machine of their own mostly have no name for each bucket.
                let virtual_hosted = match bucket.bucket_lookup_type.as_deref() {
                    Some("virtual-hosted") => true,
                    Some("path") => false,
                    _ => bucket.endpoint.as_deref().is_none_or(|endpoint| endpoint.contains("amazonaws.com")),
                };
                builder = builder.with_virtual_hosted_style_request(virtual_hosted).with_allow_http(insecure);
                if let Some(region) = &bucket.region {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = &bucket.endpoint {
                    let (scheme, name) = (if insecure { "http" } else { "https" }, plain(&bucket.bucket));
                    let host = if virtual_hosted { format!("{name}.{endpoint}") } else { endpoint.clone() };
                    builder = builder.with_endpoint(format!("{scheme}://{host}"));
                }
                if let (Some(access), Some(secret)) = (&bucket.access_key, &bucket.secret_key) {
                    builder = builder.with_access_key_id(access).with_secret_access_key(secret.expose());
                }
                if let Some(token) = &bucket.session_token {
                    builder = builder.with_token(token.expose());
                }
                Ok(Arc::new(builder.build().map_err(text)?))
            }
            "GCS" => {
                let mut builder = GoogleCloudStorageBuilder::from_env()
                    .with_bucket_name(plain(&bucket.bucket))
                    .with_http_connector(connector()?);
                if let Some(account) = &bucket.service_account {
                    builder = builder.with_service_account_key(account.expose());
                }
                Ok(Arc::new(builder.build().map_err(text)?))
            }
            "AZURE" => {
                let mut builder = MicrosoftAzureBuilder::from_env()
                    .with_account(plain(&bucket.storage_account))
                    .with_container_name(plain(&bucket.container))
                    .with_http_connector(connector()?);
                if let Some(key) = &bucket.storage_account_key {
                    builder = builder.with_access_key(key.expose());
                }
                if let Some(endpoint) = &bucket.endpoint {
                    builder = builder.with_endpoint(format!("https://{}.{endpoint}", plain(&bucket.storage_account)));
                }
                if let Some(connection) = &bucket.storage_connection_string {
                    let Connection { account, key, endpoint } = Connection::parse(connection.expose())?;
                    let is_plain = endpoint.starts_with("http://");
                    builder = builder.with_account(account).with_access_key(key).with_endpoint(endpoint);
                    builder = builder.with_allow_http(is_plain);
                }
                Ok(Arc::new(builder.build().map_err(text)?))
            }
            other => Err(format!("{other:?} is no type of object storage")),
        }
    }
}

/// What a connection string of Azure says.
#[derive(Debug, PartialEq, Eq)]
struct Connection {
    account: String,
    key: String,
    endpoint: String,
}

impl Connection {
    fn parse(text: &str) -> Result<Connection, String> {
        // Keys end in `=`.
        let parts: BTreeMap<&str, &str> =
            text.split(';').filter_map(|part| part.split_once('=')).map(|(name, value)| (name.trim(), value)).collect();
        let wanted = |name: &str| {
            parts.get(name).map(|value| (*value).to_owned()).ok_or_else(|| format!("the part {name}=… is missing"))
        };
        let account = wanted("AccountName")?;
        let endpoint = wanted("BlobEndpoint").unwrap_or_else(|_| {
            let protocol = parts.get("DefaultEndpointsProtocol").unwrap_or(&"https");
            let suffix = parts.get("EndpointSuffix").unwrap_or(&"core.windows.net");
            format!("{protocol}://{account}.blob.{suffix}")
        });
        Ok(Connection { key: wanted("AccountKey")?, endpoint: endpoint.trim_end_matches('/').to_owned(), account })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section => its faults.
    #[rustfmt::skip]
    const CASES: &[(&str, &str)] = &[
        ("{type: FILESYSTEM, config: {directory: /b}}", ""),
        ("{type: filesystem, config: {directory: /b}, prefix: a/b}", ""),
        ("{type: FILESYSTEM, config: {}}", "config: FILESYSTEM wants the key directory"),
        ("{type: FILESYSTEM, config: {directory: /b, bucket: b}}", "config.bucket: FILESYSTEM has no such key"),
        ("{type: TAPE, config: {}}", "type: \"TAPE\" is none of FILESYSTEM, S3, GCS, AZURE"),
        ("{type: S3, config: {bucket: b, endpoint: 'localhost:9000', access_key: a, secret_key: s, insecure: true}}", ""),
        ("{type: S3, config: {bucket: b, access_key: a}}", "config: access_key and secret_key come together"),
        ("{type: S3, config: {bucket: b, bucket_lookup_type: dns}}", "config.bucket_lookup_type: \"dns\" is none of auto, virtual-hosted, path"),
        ("{type: AZURE, config: {container: c}}", "config: AZURE wants the key storage_account"),
        ("{type: AZURE, config: {container: c, storage_connection_string: 'AccountName=a;AccountKey=aw=='}}", ""),
        ("{type: AZURE, config: {container: c, storage_connection_string: 'AccountName=a'}}", "config.storage_connection_string: the part AccountKey=… is missing"),
        ("{type: GCS, config: {bucket: b}}", ""),
    ];

    #[test]
    fn faults_are_told_with_their_places() {
        for (text, expected) in CASES {
            let config: ObjectStorageConfig = yaml::from_str("test", text).unwrap();
            let faults: Vec<String> =
                config.faults().iter().map(|fault| format!("{}: {}", fault.path, fault.message)).collect();
            assert_eq!(faults.join("; "), *expected, "{text}");
        }
    }

    /// A connection string => account, key and endpoint.
    const CONNECTIONS: &str = "
AccountName=a;AccountKey=aw== => a aw== https://a.blob.core.windows.net
DefaultEndpointsProtocol=http;AccountName=a;AccountKey=k;EndpointSuffix=core.example.org => a k http://a.blob.core.example.org
DefaultEndpointsProtocol=http;AccountName=a;AccountKey=k;BlobEndpoint=http://127.0.0.1:10000/a/; => a k http://127.0.0.1:10000/a
";

    #[test]
    fn connection_strings() {
        for case in CONNECTIONS.trim().lines() {
            let (text, expected) = case.split_once(" => ").unwrap();
            let Connection { account, key, endpoint } = Connection::parse(text).unwrap();
            assert_eq!(format!("{account} {key} {endpoint}"), expected, "{text}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = "{type: S3, config: {bucket: b, access_key: a, secret_key: hidden}}";
        let config: ObjectStorageConfig = yaml::from_str("test", text).unwrap();
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("hidden") && shown.contains("<secret>"), "{shown}");
    }
}

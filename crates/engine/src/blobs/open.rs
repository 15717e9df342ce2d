use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use object_store::{
    ClientOptions, DynObjectStore, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, prefix::PrefixStore,
};

use super::{Blobs, BlobsConfig};
use crate::Mistake;

/// What a URL names: the engine, and the bucket or container with the prefix in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scheme<'a> {
    DataDir,
    Directory(PathBuf),
    Cloud { provider: Provider, bucket: &'a str, prefix: &'a str },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    S3,
    Azure,
    Google,
}

pub(super) fn scheme(url: &str) -> Result<Scheme<'_>, Mistake> {
    let mistake = |why| Err(Mistake::new("blobs.url", why));
    if url.is_empty() {
        return Ok(Scheme::DataDir);
    }
    let (provider, rest) = match url.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => return Ok(Scheme::Directory(path.into())),
        Some(("file", _)) => return mistake("a directory is written file:///absolute/path"),
        Some(("s3", rest)) => (Provider::S3, rest),
        Some(("az", rest)) => (Provider::Azure, rest),
        Some(("gs", rest)) => (Provider::Google, rest),
        _ => return mistake("must be file:///, s3://, az:// or gs://"),
    };
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let prefix = prefix.trim_end_matches('/');
    if bucket.is_empty() || bucket.contains(['@', '?', '#']) {
        return mistake("names no bucket");
    }
    if !prefix.is_empty() && super::path::parse(prefix).is_err() {
        return mistake("has a prefix that is no path for a blob");
    }
    Ok(Scheme::Cloud { provider, bucket, prefix })
}

pub(super) fn open(config: &BlobsConfig, data_dir: &Path) -> anyhow::Result<Blobs> {
    match scheme(&config.url).map_err(|mistake| anyhow::anyhow!("blobs.url {}", mistake.why))? {
        Scheme::DataDir => directory(data_dir.join("blobs")),
        Scheme::Directory(path) => directory(path),
        Scheme::Cloud { provider, bucket, prefix } => {
            let store: Arc<DynObjectStore> = match provider {
                Provider::S3 => Arc::new(s3(config, bucket)?),
                Provider::Azure => Arc::new(azure(config, bucket)?),
                Provider::Google => Arc::new(google(config, bucket)?),
            };
            let store = if prefix.is_empty() { store } else { Arc::new(PrefixStore::new(store, prefix)) };
            Ok(Blobs { store, root: None })
        }
    }
}

fn directory(root: PathBuf) -> anyhow::Result<Blobs> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&root);
    made.with_context(|| format!("creating {}", root.display()))?;
    let store = LocalFileSystem::new_with_prefix(&root).with_context(|| format!("opening {}", root.display()))?;
    Ok(Blobs { store: Arc::new(store.with_fsync(true)), root: Some(Arc::new(root)) })
}

fn client(config: &BlobsConfig) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(config.endpoint.starts_with("http://"))
        .with_connect_timeout(Duration::from_secs(5))
        .with_timeout(Duration::from_millis(config.timeout_ms))
}

fn retry(config: &BlobsConfig) -> RetryConfig {
    let retry_timeout = Duration::from_millis(config.timeout_ms) * 2;
    RetryConfig { max_retries: 3, retry_timeout, ..RetryConfig::default() }
}

fn secret(config: &BlobsConfig) -> anyhow::Result<Option<&str>> {
    let text = config.secret_key.expose_str().context("blobs.secret_key is not text")?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

fn s3(config: &BlobsConfig, bucket: &str) -> anyhow::Result<impl ObjectStore + use<>> {
    let region = if config.region.is_empty() { "us-east-1" } else { &config.region };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_client_options(client(config))
        .with_retry(retry(config));
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(&config.endpoint);
    }
    if let Some(secret) = secret(config)? {
        builder = builder.with_access_key_id(&config.access_key).with_secret_access_key(secret);
    }
    builder.build().context("preparing S3")
}

fn azure(config: &BlobsConfig, container: &str) -> anyhow::Result<impl ObjectStore + use<>> {
    let mut builder = MicrosoftAzureBuilder::new()
        .with_container_name(container)
        .with_account(&config.access_key)
        .with_client_options(client(config))
        .with_retry(retry(config));
    if !config.endpoint.is_empty() {
        builder = builder.with_endpoint(config.endpoint.clone());
    }
    if let Some(secret) = secret(config)? {
        builder = builder.with_access_key(secret);
    }
    builder.build().context("preparing Azure Blob Storage")
}

fn google(config: &BlobsConfig, bucket: &str) -> anyhow::Result<impl ObjectStore + use<>> {
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(bucket)
        .with_client_options(client(config))
        .with_retry(retry(config));
    if !config.endpoint.is_empty() {
        builder = builder.with_base_url(&config.endpoint);
    }
    if let Some(secret) = secret(config)? {
        builder = builder.with_service_account_key(secret);
    }
    builder.build().context("preparing Google Cloud Storage")
}

#[cfg(test)]
mod tests {
    use nsl_core::Secret;

    use super::*;

    #[test]
    fn each_engine_is_chosen_by_its_url() {
        assert_eq!(scheme(""), Ok(Scheme::DataDir));
        assert_eq!(scheme("file:///var/blobs"), Ok(Scheme::Directory("/var/blobs".into())));
        let cloud = |provider, prefix| Ok(Scheme::Cloud { provider, bucket: "bucket", prefix });
        assert_eq!(scheme("s3://bucket/a/b/"), cloud(Provider::S3, "a/b"));
        assert_eq!(scheme("az://bucket"), cloud(Provider::Azure, ""));
        assert_eq!(scheme("gs://bucket/a"), cloud(Provider::Google, "a"));
        for bad in ["/var/blobs", "file://var", "http://x", "s3://", "s3:///a", "s3://key@bucket", "s3://b/../c"] {
            assert_eq!(scheme(bad).unwrap_err().key, "blobs.url", "{bad}");
        }
    }

    #[test]
    fn azure_and_google_are_prepared_from_their_settings() {
        let config = |url: &str, access_key: &str, secret_key: &str| BlobsConfig {
            url: url.into(),
            endpoint: String::new(),
            region: String::new(),
            access_key: access_key.into(),
            secret_key: Secret::new(secret_key),
            timeout_ms: 1_000,
        };
        let open = |config: BlobsConfig| open(&config, Path::new("/nowhere")).map(|_| ());
        open(config("az://container/a", "account", "a2V5")).unwrap();
        assert!(open(config("az://container", "account", "not base 64!")).is_err());
        assert!(open(config("gs://bucket", "", "not json")).is_err());
    }
}

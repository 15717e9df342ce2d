use std::path::Path;

use bytes::Bytes;
use nsl_core::Secret;
use nsl_engine::blobs::{Blobs, BlobsConfig};
use nsl_sandbox::S3;

fn config(url: &str) -> BlobsConfig {
    BlobsConfig {
        url: url.into(),
        endpoint: String::new(),
        region: String::new(),
        access_key: String::new(),
        secret_key: Secret::new(""),
        timeout_ms: 2_000,
    }
}

fn s3(server: &S3, secret: &str) -> Blobs {
    let config = BlobsConfig {
        endpoint: server.endpoint(),
        region: S3::REGION.into(),
        access_key: S3::ACCESS_KEY.into(),
        secret_key: Secret::new(secret),
        ..config(&format!("s3://{}/our/part", S3::BUCKET))
    };
    assert_eq!(config.check(), []);
    Blobs::build(&config, Path::new("/nowhere")).unwrap()
}

/// What every engine promises, given an empty place.
async fn promises(blobs: &Blobs) {
    assert_eq!(blobs.get("a/b").await.unwrap(), None);
    assert!(!blobs.exists("a/b").await.unwrap());
    assert_eq!(blobs.list("").await.unwrap(), [""; 0]);
    let large = Bytes::from((0..3_000_000u32).map(|i| (i * 7) as u8).collect::<Vec<_>>());
    blobs.put("a/b", large.clone()).await.unwrap();
    assert_eq!(blobs.get("a/b").await.unwrap(), Some(large));
    blobs.put("a/b", "short".into()).await.unwrap();
    assert_eq!(blobs.get("a/b").await.unwrap().unwrap(), "short");
    blobs.put("a/c.d-e_f/1", "".into()).await.unwrap();
    blobs.put("ab", "x".into()).await.unwrap();
    assert!(blobs.exists("a/c.d-e_f/1").await.unwrap());
    assert_eq!(blobs.get("a/c.d-e_f/1").await.unwrap().unwrap(), "");
    assert_eq!(blobs.list("").await.unwrap(), ["a/b", "a/c.d-e_f/1", "ab"]);
    assert_eq!(blobs.list("a").await.unwrap(), ["a/b", "a/c.d-e_f/1"]);
    assert_eq!(blobs.list("none").await.unwrap(), [""; 0]);
    for _ in 0..2 {
        blobs.delete("a/b").await.unwrap();
        assert_eq!(blobs.get("a/b").await.unwrap(), None);
    }
    blobs.delete("never/was").await.unwrap();
    assert_eq!(blobs.list("a").await.unwrap(), ["a/c.d-e_f/1"]);
    for refused in [
        blobs.put("../x", "x".into()).await.err(),
        blobs.get("a/../b").await.err(),
        blobs.delete("/etc/passwd").await.err(),
        blobs.list("..").await.err(),
        blobs.exists("").await.err(),
    ] {
        assert_eq!(refused.unwrap().slug, "blobs.path");
    }
}

/// One of many whole values, never a mixture, whoever reads when.
async fn readers_see_whole_values(blobs: &Blobs) {
    let value = |round: u8| Bytes::from(vec![round; 200_000]);
    blobs.put("shared", value(0)).await.unwrap();
    let write = async {
        for round in 1..20 {
            blobs.put("shared", value(round)).await.unwrap();
        }
    };
    let read = async {
        for _ in 0..60 {
            let seen = blobs.get("shared").await.unwrap().unwrap();
            assert_eq!(seen, value(seen[0]));
        }
    };
    tokio::join!(write, read);
    assert_eq!(blobs.get("shared").await.unwrap().unwrap(), value(19));
}

#[tokio::test]
async fn a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::build(&config(""), dir.path()).unwrap();
    promises(&blobs).await;
    readers_see_whole_values(&blobs).await;
    let elsewhere = format!("file://{}/else/where", dir.path().display());
    promises(&Blobs::build(&config(&elsewhere), Path::new("/nowhere")).unwrap()).await;
    let mode = std::os::unix::fs::MetadataExt::mode(&dir.path().join("blobs").metadata().unwrap());
    assert_eq!(mode & 0o777, 0o700);
}

#[tokio::test]
async fn an_s3_server_that_checks_signatures() {
    let mut server = S3::start().unwrap();
    let blobs = s3(&server, S3::SECRET_KEY);
    promises(&blobs).await;
    readers_see_whole_values(&blobs).await;

    let forged = s3(&server, "not the secret key");
    let refused = forged.put("x", "x".into()).await.unwrap_err();
    assert_eq!(refused.slug, "blobs.unavailable");
    assert!(!format!("{refused:?}").contains("not the secret key"));

    server.stop();
    assert_eq!(blobs.get("ab").await.unwrap_err().slug, "blobs.unavailable");
    server.start_again().unwrap();
    assert_eq!(blobs.get("ab").await.unwrap().unwrap(), "x");
}

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nsl_core::Secret;
use nsl_engine::secrets::{Secrets, SecretsConfig, SecretsEngine, Versions};

fn open(engine: SecretsEngine, dir: &Path, generate: bool, environment: &[(&str, &str)]) -> nsl_core::Result<Secrets> {
    let environment: BTreeMap<_, _> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Secrets::build(&SecretsConfig { engine, dir: String::new() }, dir, generate, &environment)
}

/// What every engine promises of a secret `db_password` with the versions 1 `first` and 2 `second`.
async fn reads(secrets: &Secrets) {
    assert_eq!(secrets.get("db_password").await.unwrap(), Secret::new("second"));
    assert_eq!(secrets.get_version("db_password", 1).await.unwrap(), Secret::new("first"));
    assert_eq!(secrets.versions("db_password").await.unwrap(), Versions { current: 2, all: vec![1, 2] });
    assert_eq!(secrets.ensure("db_password", 32).await.unwrap(), Secret::new("second"));
    for absent in [
        secrets.get("absent").await.err(),
        secrets.get("db").await.err(),
        secrets.versions("absent").await.err(),
        secrets.get_version("db_password", 3).await.err(),
        secrets.ensure("absent", 32).await.err(),
    ] {
        assert_eq!(absent.unwrap().slug, "secrets.missing");
    }
    for bad in ["", "../x", "a/b", ".hidden", "Upper", "a b", &"x".repeat(65)] {
        assert_eq!(secrets.get(bad).await.unwrap_err().slug, "secrets.name", "{bad:?}");
    }
}

#[tokio::test]
async fn both_engines_keep_their_promises() {
    let dir = tempfile::tempdir().unwrap();
    let files = open(SecretsEngine::Files, dir.path(), false, &[]).unwrap();
    assert_eq!(files.put_new_version("db_password", &Secret::new("first")).await.unwrap(), 1);
    assert_eq!(files.put_new_version("db_password", &Secret::new("second")).await.unwrap(), 2);
    reads(&files).await;
    assert_eq!(files.put_new_version("x", &Secret::new("")).await.unwrap_err().slug, "secrets.empty");

    let path = dir.path().join("two");
    fs::write(&path, "second\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let both = [("NSL_SECRET_DB_PASSWORD", "first"), ("NSL_SECRET_DB_PASSWORD__2_FILE", path.to_str().unwrap())];
    let environment = open(SecretsEngine::Environment, dir.path(), false, &both).unwrap();
    reads(&environment).await;
    let refused = environment.put_new_version("db_password", &Secret::new("third")).await.unwrap_err();
    assert_eq!(refused.slug, "secrets.read_only");
}

#[tokio::test]
async fn written_secrets_are_private_and_survive() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    open(SecretsEngine::Files, dir.path(), false, &[])
        .unwrap()
        .put_new_version("root", &Secret::new(bytes.clone()))
        .await
        .unwrap();
    let mode = |path: &str| fs::metadata(dir.path().join(path)).unwrap().mode() & 0o777;
    assert_eq!([mode("secrets"), mode("secrets/root"), mode("secrets/root/1")], [0o700, 0o700, 0o600]);
    assert_eq!(fs::read_dir(dir.path().join("secrets/root")).unwrap().count(), 1);
    let again = open(SecretsEngine::Files, dir.path(), false, &[]).unwrap();
    assert_eq!(again.get("root").await.unwrap(), Secret::new(bytes));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn racing_processes_agree() {
    let dir = tempfile::tempdir().unwrap();
    let racers: Vec<_> = (0..8).map(|_| open(SecretsEngine::Files, dir.path(), true, &[]).unwrap()).collect();
    let made = futures_util::future::join_all(racers.iter().map(|racer| racer.ensure("root", 32))).await;
    let made: Vec<_> = made.into_iter().map(Result::unwrap).collect();
    assert!(made.iter().all(|secret| secret == &made[0] && secret.expose().len() == 32));

    let next = Secret::new("next");
    let put = futures_util::future::join_all(racers.iter().map(|racer| racer.put_new_version("root", &next))).await;
    let mut versions: Vec<_> = put.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_others_could_read_or_replace_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = open(SecretsEngine::Files, dir.path(), false, &[]).unwrap();
    secrets.put_new_version("root", &Secret::new("hunter2")).await.unwrap();
    let set = |path: &str, mode| {
        fs::set_permissions(dir.path().join(path), fs::Permissions::from_mode(mode)).unwrap();
    };
    let chmod = |error: nsl_core::Error| {
        assert_eq!(error.slug, "secrets.unusable");
        let cause = error.cause().unwrap().to_string();
        assert!(cause.contains("chmod") && !format!("{error:?}").contains("hunter2"), "{cause}");
    };
    for mode in [0o604, 0o640, 0o660, 0o644] {
        set("secrets/root/1", mode);
        chmod(secrets.get("root").await.unwrap_err());
    }
    set("secrets/root/1", 0o600);
    set("secrets/root", 0o770);
    chmod(secrets.get("root").await.unwrap_err());
    set("secrets/root", 0o700);
    secrets.get("root").await.unwrap();

    set("secrets/root/1", 0o644);
    let path = dir.path().join("secrets/root/1");
    let variable = [("NSL_SECRET_ROOT_FILE", path.to_str().unwrap())];
    let environment = open(SecretsEngine::Environment, dir.path(), false, &variable).unwrap();
    chmod(environment.get("root").await.unwrap_err());
}

#[tokio::test]
async fn a_secret_set_twice_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    for twice in
        [[("NSL_SECRET_A", "x"), ("NSL_SECRET_A_FILE", "y")], [("NSL_SECRET_A", "x"), ("NSL_SECRET_A__1", "y")]]
    {
        let refused = open(SecretsEngine::Environment, dir.path(), false, &twice).err().unwrap();
        assert_eq!(refused.slug, "secrets.twice");
    }
}

#[tokio::test]
async fn half_a_secret_is_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = open(SecretsEngine::Files, dir.path(), false, &[]).unwrap();
    secrets.put_new_version("root", &Secret::new("whole")).await.unwrap();
    for stray in [".draft_x", "02", "0", "x", "-1"] {
        fs::write(dir.path().join("secrets/root").join(stray), "stray").unwrap();
    }
    assert_eq!(secrets.versions("root").await.unwrap().all, [1]);
}
